/** cosmos.auth and cosmos.bank: accounts, balances, the coin. */
import { ADDRESS_PREFIX } from "@karat/common";
import * as auth from "cosmjs-types/cosmos/auth/v1beta1/query";
import * as bank from "cosmjs-types/cosmos/bank/v1beta1/query";
import { constant, query } from "../route.ts";

const AUTH = "/cosmos.auth.v1beta1.Query";
const BANK = "/cosmos.bank.v1beta1.Query";

export const authRoutes = [
  query("/cosmos/auth/v1beta1/accounts", {
    method: `${AUTH}/Accounts`,
    request: auth.QueryAccountsRequest,
    response: auth.QueryAccountsResponse,
    fields: (input) => ({ pagination: input.pagination() }),
  }),
  query("/cosmos/auth/v1beta1/accounts/:address", {
    method: `${AUTH}/Account`,
    request: auth.QueryAccountRequest,
    response: auth.QueryAccountResponse,
    fields: (input) => ({ address: input.address("address") }),
  }),
  query("/cosmos/auth/v1beta1/account_info/:address", {
    method: `${AUTH}/AccountInfo`,
    request: auth.QueryAccountInfoRequest,
    response: auth.QueryAccountInfoResponse,
    fields: (input) => ({ address: input.address("address") }),
  }),
  query("/cosmos/auth/v1beta1/module_accounts", {
    method: `${AUTH}/ModuleAccounts`,
    request: auth.QueryModuleAccountsRequest,
    response: auth.QueryModuleAccountsResponse,
  }),
  query("/cosmos/auth/v1beta1/module_accounts/:name", {
    method: `${AUTH}/ModuleAccountByName`,
    request: auth.QueryModuleAccountByNameRequest,
    response: auth.QueryModuleAccountByNameResponse,
    fields: (input) => ({ name: input.path("name") }),
  }),
  query("/cosmos/auth/v1beta1/params", {
    method: `${AUTH}/Params`,
    request: auth.QueryParamsRequest,
    response: auth.QueryParamsResponse,
  }),
  constant("/cosmos/auth/v1beta1/bech32", () => ({ bech32_prefix: ADDRESS_PREFIX })),
];

export const bankRoutes = [
  query("/cosmos/bank/v1beta1/balances/:address", {
    method: `${BANK}/AllBalances`,
    request: bank.QueryAllBalancesRequest,
    response: bank.QueryAllBalancesResponse,
    fields: (input) => ({ address: input.address("address"), pagination: input.pagination() }),
  }),
  query("/cosmos/bank/v1beta1/balances/:address/by_denom", {
    method: `${BANK}/Balance`,
    request: bank.QueryBalanceRequest,
    response: bank.QueryBalanceResponse,
    fields: (input) => ({ address: input.address("address"), denom: input.query("denom") }),
  }),
  query("/cosmos/bank/v1beta1/spendable_balances/:address", {
    method: `${BANK}/SpendableBalances`,
    request: bank.QuerySpendableBalancesRequest,
    response: bank.QuerySpendableBalancesResponse,
    fields: (input) => ({ address: input.address("address"), pagination: input.pagination() }),
  }),
  query("/cosmos/bank/v1beta1/spendable_balances/:address/by_denom", {
    method: `${BANK}/SpendableBalanceByDenom`,
    request: bank.QuerySpendableBalanceByDenomRequest,
    response: bank.QuerySpendableBalanceByDenomResponse,
    fields: (input) => ({ address: input.address("address"), denom: input.query("denom") }),
  }),
  query("/cosmos/bank/v1beta1/supply", {
    method: `${BANK}/TotalSupply`,
    request: bank.QueryTotalSupplyRequest,
    response: bank.QueryTotalSupplyResponse,
    fields: (input) => ({ pagination: input.pagination() }),
  }),
  query("/cosmos/bank/v1beta1/supply/by_denom", {
    method: `${BANK}/SupplyOf`,
    request: bank.QuerySupplyOfRequest,
    response: bank.QuerySupplyOfResponse,
    fields: (input) => ({ denom: input.query("denom") }),
  }),
  query("/cosmos/bank/v1beta1/denoms_metadata", {
    method: `${BANK}/DenomsMetadata`,
    request: bank.QueryDenomsMetadataRequest,
    response: bank.QueryDenomsMetadataResponse,
    fields: (input) => ({ pagination: input.pagination() }),
  }),
  query("/cosmos/bank/v1beta1/denoms_metadata/:denom", {
    method: `${BANK}/DenomMetadata`,
    request: bank.QueryDenomMetadataRequest,
    response: bank.QueryDenomMetadataResponse,
    fields: (input) => ({ denom: input.path("denom") }),
  }),
  query("/cosmos/bank/v1beta1/params", {
    method: `${BANK}/Params`,
    request: bank.QueryParamsRequest,
    response: bank.QueryParamsResponse,
  }),
];

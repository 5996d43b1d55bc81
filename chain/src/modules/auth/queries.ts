import { moduleAddress } from "@karat/common";
import { BaseAccount, ModuleAccount, Params } from "cosmjs-types/cosmos/auth/v1beta1/auth";
import {
  QueryAccountInfoRequest,
  QueryAccountInfoResponse,
  QueryAccountRequest,
  QueryAccountResponse,
  QueryAccountsRequest,
  QueryAccountsResponse,
  QueryModuleAccountByNameRequest,
  QueryModuleAccountByNameResponse,
  QueryModuleAccountsResponse,
  QueryParamsResponse,
} from "cosmjs-types/cosmos/auth/v1beta1/query";
import type { Any } from "cosmjs-types/google/protobuf/any";
import { ChainError, SDK } from "../../app/errors.ts";
import { GAS } from "../../app/gas.ts";
import type { Context, QueryHandler } from "../../app/module.ts";
import { readPage } from "../../app/pages.ts";
import { LIMITS } from "../../app/tx/limits.ts";
import { type Accounts, requireAddress } from "./keeper.ts";
import { accounts, STORE, toBaseAccount } from "./keys.ts";
import type { Account } from "./types.ts";

const baseAccountAny = (account: Account): Any => ({
  typeUrl: "/cosmos.auth.v1beta1.BaseAccount",
  value: BaseAccount.encode(toBaseAccount(account)).finish(),
});

/** The queries of cosmos.auth.v1beta1 that wallets use. */
export function authQueries(keeper: Accounts, moduleNames: readonly string[]): Record<string, QueryHandler> {
  function known(ctx: Context, address: string): Account {
    const account = keeper.get(ctx, address);
    if (account === undefined) {
      // CosmJS recognises an account that does not exist by this beginning.
      throw new ChainError(
        SDK.keyNotFound,
        `rpc error: code = NotFound desc = account ${address} not found: key not found`,
      );
    }
    return account;
  }

  function moduleAccount(ctx: Context, name: string): Any {
    const address = moduleAddress(name);
    const account = keeper.get(ctx, address) ?? { address, publicKey: undefined, accountNumber: 0n, sequence: 0n };
    return {
      typeUrl: "/cosmos.auth.v1beta1.ModuleAccount",
      value: ModuleAccount.encode(ModuleAccount.fromPartial({ baseAccount: toBaseAccount(account), name })).finish(),
    };
  }

  return {
    "/cosmos.auth.v1beta1.Query/Account": (ctx, request) =>
      QueryAccountResponse.encode({
        account: baseAccountAny(known(ctx, QueryAccountRequest.decode(request).address)),
      }).finish(),

    "/cosmos.auth.v1beta1.Query/AccountInfo": (ctx, request) =>
      QueryAccountInfoResponse.encode({
        info: toBaseAccount(known(ctx, QueryAccountInfoRequest.decode(request).address)),
      }).finish(),

    "/cosmos.auth.v1beta1.Query/Accounts"(ctx, request) {
      const { items, pagination } = readPage(
        QueryAccountsRequest.decode(request).pagination,
        (from) => accounts.entries(ctx.store(STORE), from && { from }),
        ([, account]) => requireAddress(account.address),
      );
      return QueryAccountsResponse.encode({
        accounts: items.map(([, account]) => baseAccountAny(account)),
        pagination,
      }).finish();
    },

    "/cosmos.auth.v1beta1.Query/ModuleAccounts": (ctx) =>
      QueryModuleAccountsResponse.encode({ accounts: moduleNames.map((name) => moduleAccount(ctx, name)) }).finish(),

    "/cosmos.auth.v1beta1.Query/ModuleAccountByName"(ctx, request) {
      const { name } = QueryModuleAccountByNameRequest.decode(request);
      if (!moduleNames.includes(name)) {
        throw new ChainError(
          SDK.keyNotFound,
          `rpc error: code = NotFound desc = account ${name} not found: key not found`,
        );
      }
      return QueryModuleAccountByNameResponse.encode({ account: moduleAccount(ctx, name) }).finish();
    },

    "/cosmos.auth.v1beta1.Query/Params": () =>
      QueryParamsResponse.encode({
        params: Params.fromPartial({
          maxMemoCharacters: BigInt(LIMITS.memoBytes),
          txSigLimit: BigInt(LIMITS.signers),
          txSizeCostPerByte: GAS.txByte,
          sigVerifyCostSecp256k1: GAS.signature,
        }),
      }).finish(),
  };
}

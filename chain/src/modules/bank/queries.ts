import { DENOM } from "@karat/common";
import { Metadata, Params } from "cosmjs-types/cosmos/bank/v1beta1/bank";
import {
  QueryAllBalancesRequest,
  QueryAllBalancesResponse,
  QueryBalanceRequest,
  QueryBalanceResponse,
  QueryDenomMetadataRequest,
  QueryDenomMetadataResponse,
  QueryDenomsMetadataResponse,
  QueryParamsResponse,
  QuerySpendableBalanceByDenomRequest,
  QuerySpendableBalanceByDenomResponse,
  QuerySpendableBalancesRequest,
  QuerySpendableBalancesResponse,
  QuerySupplyOfRequest,
  QuerySupplyOfResponse,
  QueryTotalSupplyResponse,
} from "cosmjs-types/cosmos/bank/v1beta1/query";
import type { Coin } from "cosmjs-types/cosmos/base/v1beta1/coin";
import { ChainError, SDK } from "../../app/errors.ts";
import type { Context, QueryHandler } from "../../app/module.ts";
import type { Bank } from "./keeper.ts";

const METADATA = Metadata.fromPartial({
  description: "The coin of the Karat network",
  denomUnits: [
    { denom: DENOM, exponent: 0, aliases: ["microkarat"] },
    { denom: "karat", exponent: 6, aliases: [] },
  ],
  base: DENOM,
  display: "karat",
  name: "Karat",
  symbol: "KARAT",
});

/** All coins there are fit on one page, so every list is whole and its next key empty. */
const WHOLE = (coins: readonly unknown[]) => ({ nextKey: new Uint8Array(), total: BigInt(coins.length) });

const coin = (denom: string, amount: bigint): Coin => ({ denom, amount: amount.toString() });
const coinsOf = (amount: bigint): Coin[] => (amount === 0n ? [] : [coin(DENOM, amount)]);

/** The queries of cosmos.bank.v1beta1. */
export function bankQueries(bank: Bank): Record<string, QueryHandler> {
  const balanceOf = (ctx: Context, { address, denom }: QueryBalanceRequest) => {
    const amount = bank.balance(ctx, address);
    return coin(denom, denom === DENOM ? amount : 0n);
  };

  return {
    "/cosmos.bank.v1beta1.Query/Balance": (ctx, request) =>
      QueryBalanceResponse.encode({ balance: balanceOf(ctx, QueryBalanceRequest.decode(request)) }).finish(),

    "/cosmos.bank.v1beta1.Query/AllBalances"(ctx, request) {
      const balances = coinsOf(bank.balance(ctx, QueryAllBalancesRequest.decode(request).address));
      return QueryAllBalancesResponse.encode({ balances, pagination: WHOLE(balances) }).finish();
    },

    "/cosmos.bank.v1beta1.Query/SpendableBalances"(ctx, request) {
      const balances = coinsOf(bank.balance(ctx, QuerySpendableBalancesRequest.decode(request).address));
      return QuerySpendableBalancesResponse.encode({ balances, pagination: WHOLE(balances) }).finish();
    },

    "/cosmos.bank.v1beta1.Query/SpendableBalanceByDenom": (ctx, request) =>
      QuerySpendableBalanceByDenomResponse.encode({
        balance: balanceOf(ctx, QuerySpendableBalanceByDenomRequest.decode(request)),
      }).finish(),

    "/cosmos.bank.v1beta1.Query/TotalSupply"(ctx) {
      const supply = coinsOf(bank.supply(ctx));
      return QueryTotalSupplyResponse.encode({ supply, pagination: WHOLE(supply) }).finish();
    },

    "/cosmos.bank.v1beta1.Query/SupplyOf"(ctx, request) {
      const { denom } = QuerySupplyOfRequest.decode(request);
      return QuerySupplyOfResponse.encode({ amount: coin(denom, denom === DENOM ? bank.supply(ctx) : 0n) }).finish();
    },

    "/cosmos.bank.v1beta1.Query/DenomMetadata"(_, request) {
      const { denom } = QueryDenomMetadataRequest.decode(request);
      if (denom !== DENOM) {
        throw new ChainError(SDK.keyNotFound, `rpc error: code = NotFound desc = client metadata for denom ${denom}`);
      }
      return QueryDenomMetadataResponse.encode({ metadata: METADATA }).finish();
    },

    "/cosmos.bank.v1beta1.Query/DenomsMetadata": () =>
      QueryDenomsMetadataResponse.encode({ metadatas: [METADATA], pagination: WHOLE([METADATA]) }).finish(),

    "/cosmos.bank.v1beta1.Query/Params": () =>
      QueryParamsResponse.encode({ params: Params.fromPartial({ defaultSendEnabled: true }) }).finish(),
  };
}

import { deposit } from "@karat/proto";
import type { QueryHandler } from "../../app/module.ts";
import { defineQuery, queriedAddress } from "../support/query.ts";
import type { DepositKeeper } from "./keeper.ts";

export function depositQueries(keeper: DepositKeeper): Readonly<Record<string, QueryHandler>> {
  return {
    // An unknown client has an empty deposit: that is no error.
    "/karat.deposit.v1.Query/Deposit": defineQuery(
      deposit.QueryDepositRequest,
      deposit.QueryDepositResponse,
      (ctx, { client }) => ({ deposit: keeper.get(ctx, queriedAddress(client)) }),
    ),
  };
}

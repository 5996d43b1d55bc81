import { reputation } from "@karat/proto";
import type { QueryHandler } from "../../app/module.ts";
import { defineQuery, queriedAddress } from "../support/query.ts";
import type { ReputationDeps } from "./expects.ts";
import { readReputation, readStanding } from "./keeper.ts";
import { checkingRates } from "./rate.ts";

/** Whoever has no record yet has that of a newcomer. */
export const queries = (deps: ReputationDeps): Readonly<Record<string, QueryHandler>> => ({
  "/karat.reputation.v1.Query/Standing": defineQuery(
    reputation.QueryStandingRequest,
    reputation.QueryStandingResponse,
    (ctx, { participant }) => ({ standing: readStanding(ctx, queriedAddress(participant)) }),
  ),

  "/karat.reputation.v1.Query/Reputation": defineQuery(
    reputation.QueryReputationRequest,
    reputation.QueryReputationResponse,
    (ctx, { participant, model }) => ({
      reputation: readReputation(ctx, queriedAddress(participant), model, deps.epochs.current(ctx).number),
      checkingRateMicros: checkingRates(deps, ctx)(participant, model),
    }),
  ),
});

import { verification } from "@karat/proto";
import type { Context, QueryHandler } from "../../app/module.ts";
import { defineQuery, found, pageLimit, queriedAddress } from "../support/query.ts";
import { windowOf } from "./draw.ts";
import type { VerificationDeps } from "./expects.ts";
import { read } from "./keeper.ts";
import { ofValidator, openDuties, STORE } from "./keys.ts";
import { dutyOf } from "./transition.ts";

export const queries = (deps: VerificationDeps): Readonly<Record<string, QueryHandler>> => ({
  "/karat.verification.v1.Query/Check": defineQuery(
    verification.QueryCheckRequest,
    verification.QueryCheckResponse,
    (ctx, { inferenceId }) => {
      const check = found(inferenceId.length === 32 ? checkOf(deps, ctx, inferenceId) : undefined, "check");
      return { check, window: (windowOf(deps, ctx, check) ?? -1) + 1 };
    },
  ),

  "/karat.verification.v1.Query/PendingDuties": defineQuery(
    verification.QueryPendingDutiesRequest,
    verification.QueryPendingDutiesResponse,
    (ctx, { validator, limit }) => {
      const prefix = ofValidator(queriedAddress(validator));
      const open = [...openDuties.entries(ctx.store(STORE), { prefix, limit: pageLimit(limit) })];
      return { duties: open.map(([[operator, id]]) => dutyOf(read(ctx, id)!, operator)!) };
    },
  ),
});

/** What the draw passed over has no row: it is told by the inference being past its draw without one. */
function checkOf(deps: VerificationDeps, ctx: Context, id: Uint8Array): verification.Check | undefined {
  const check = read(ctx, id);
  if (check !== undefined) return check;
  const finished = deps.inferences.get(ctx, id);
  if (finished === undefined || finished.finishHeight === 0n || deps.inferences.isUndrawn(ctx, finished)) {
    return undefined;
  }
  const { executor, model, finishHeight } = finished;
  return verification.Check.fromPartial({
    inferenceId: id,
    status: verification.CheckStatus.UNCHECKED,
    drawnHeight: finishHeight + 1n,
    decidedHeight: finishHeight + 1n,
    executor,
    model,
  });
}

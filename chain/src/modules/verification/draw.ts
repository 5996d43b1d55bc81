/** Who checks: public draws that everybody can repeat. */
import type { inference, verification } from "@karat/proto";
import { committeeDraw, DrawTable, drawnWindow, dutyDraw, dutyOrder, secondLookDraw } from "@karat/rules";
import type { Context } from "../../app/module.ts";
import type { VerificationDeps } from "./expects.ts";
import { isConvened } from "./transition.ts";
import { settledHeight } from "./windows.ts";

interface Candidate {
  readonly id: string;
  readonly weight: bigint;
}

/** Active members whose verdicts are still worth something. */
function candidates(deps: VerificationDeps, ctx: Context): Candidate[] {
  return deps.epochs
    .members(ctx)
    .filter(({ operator }) => !deps.reputation.isDistrusted(ctx, operator))
    .map(({ operator, weight }) => ({ id: operator, weight }));
}

/** The candidates, ready for all draws of a block. */
export const validatorTable = (deps: VerificationDeps, ctx: Context): DrawTable => new DrawTable(candidates(deps, ctx));

/** Whether a finish is checked at all. */
export function isChecked(
  deps: VerificationDeps,
  ctx: Context,
  { id: inferenceId }: inference.Inference,
  beaconHeight: bigint,
  rateMicros: number,
): boolean {
  return dutyDraw({ beacon: beaconOf(deps, ctx, beaconHeight), inferenceId, rateMicros });
}

/** Whether a committee looks a second time. There is nothing to be seen in an empty output. */
export function isLookedAtAgain(
  deps: VerificationDeps,
  ctx: Context,
  { id: inferenceId, completionTokens }: inference.Inference,
  beaconHeight: bigint,
  rateMicros: number,
): boolean {
  return completionTokens > 0 && secondLookDraw({ beacon: beaconOf(deps, ctx, beaconHeight), inferenceId, rateMicros });
}

/** Index of the window that those who check have to open; undefined while somebody may still commit, and in the block of the last commitment. */
export function windowOf(deps: VerificationDeps, ctx: Context, check: verification.Check): number | undefined {
  const settled = isConvened(check) ? settledHeight(check) : undefined;
  const record = deps.inferences.get(ctx, check.inferenceId);
  if (settled === undefined || settled >= ctx.height || record === undefined) return undefined;
  return drawnWindow(beaconOf(deps, ctx, settled), check.inferenceId, record.completionTokens);
}

/** The validators in the order they are asked. */
export function validatorOrder(
  deps: VerificationDeps,
  ctx: Context,
  table: DrawTable,
  { id: inferenceId, executor, transferAgent }: inference.Inference,
  beaconHeight: bigint,
  limit?: number,
): string[] {
  const beacon = beaconOf(deps, ctx, beaconHeight);
  return dutyOrder(table, { beacon, inferenceId }, [executor, transferAgent], limit);
}

export function drawCommittee(
  deps: VerificationDeps,
  ctx: Context,
  finished: inference.Inference,
  check: verification.Check,
  beaconHeight: bigint,
): string[] {
  const { executor, transferAgent } = finished;
  const asked = check.duties.filter((duty) => !duty.missed).map((duty) => duty.validator);
  const involved = new Set([executor, transferAgent, ...asked]);
  return committeeDraw({
    beacon: beaconOf(deps, ctx, beaconHeight),
    inferenceId: finished.id,
    size: deps.params.get(ctx).committeeSize,
    candidates: candidates(deps, ctx).filter(({ id }) => !involved.has(id)),
  });
}

/** The beacon of a height. One that is no longer kept, after a very long backlog, is replaced by the present one. */
function beaconOf(deps: VerificationDeps, ctx: Context, height: bigint): Uint8Array {
  const beacon = deps.epochs.beacon(ctx, height) ?? deps.epochs.beacon(ctx, ctx.height);
  if (beacon === undefined) throw new Error(`no beacon of height ${ctx.height}`);
  return beacon;
}

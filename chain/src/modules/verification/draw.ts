/** Who checks: public draws that everybody can repeat. */
import type { inference, verification } from "@karat/proto";
import { committeeDraw, drawnWindow, dutyDraw, secondLookDraw } from "@karat/rules";
import type { Context } from "../../app/module.ts";
import type { VerificationDeps } from "./expects.ts";
import { settledHeight } from "./secondLook.ts";

interface Candidate {
  readonly id: string;
  readonly weight: bigint;
}

/** Active members that have no part in the inference and whose verdicts are still worth something. */
function candidates(
  deps: VerificationDeps,
  ctx: Context,
  { executor, transferAgent }: inference.Inference,
): Candidate[] {
  return deps.epochs
    .members(ctx)
    .filter(({ operator }) => operator !== executor && operator !== transferAgent)
    .filter(({ operator }) => !deps.reputation.isDistrusted(ctx, operator))
    .map(({ operator, weight }) => ({ id: operator, weight }));
}

/** Whether a finish is checked at all: who could be asked plays no part in it. */
export function isChecked(
  deps: VerificationDeps,
  ctx: Context,
  { id: inferenceId }: inference.Inference,
  beaconHeight: bigint,
  rateMicros: number,
): boolean {
  const beacon = beaconOf(deps, ctx, beaconHeight);
  return dutyDraw({ beacon, inferenceId, rateMicros, candidates: [] }).checked;
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

/** Index of the window that a second look has opened; undefined while somebody may still commit, and in the block of the last commitment. */
export function windowOf(deps: VerificationDeps, ctx: Context, check: verification.Check): number | undefined {
  const settled = check.secondLook ? settledHeight(check) : undefined;
  const record = deps.inferences.get(ctx, check.inferenceId);
  if (settled === undefined || settled >= ctx.height || record === undefined) return undefined;
  return drawnWindow(beaconOf(deps, ctx, settled), check.inferenceId, record.completionTokens);
}

/** The validators in the order they are asked. */
export function validatorOrder(
  deps: VerificationDeps,
  ctx: Context,
  finished: inference.Inference,
  beaconHeight: bigint,
  limit?: number,
): string[] {
  return dutyDraw({
    beacon: beaconOf(deps, ctx, beaconHeight),
    inferenceId: finished.id,
    rateMicros: 0,
    candidates: candidates(deps, ctx, finished),
    ...(limit !== undefined && { limit }),
  }).order;
}

export function drawCommittee(
  deps: VerificationDeps,
  ctx: Context,
  finished: inference.Inference,
  check: verification.Check,
  beaconHeight: bigint,
): string[] {
  const objectors = new Set(check.duties.filter((duty) => !duty.missed).map((duty) => duty.validator));
  return committeeDraw({
    beacon: beaconOf(deps, ctx, beaconHeight),
    inferenceId: finished.id,
    size: deps.params.get(ctx).committeeSize,
    candidates: candidates(deps, ctx, finished).filter(({ id }) => !objectors.has(id)),
  });
}

/** The beacon of a height. One that is no longer kept, after a very long backlog, is replaced by the present one. */
function beaconOf(deps: VerificationDeps, ctx: Context, height: bigint): Uint8Array {
  const beacon = deps.epochs.beacon(ctx, height) ?? deps.epochs.beacon(ctx, ctx.height);
  if (beacon === undefined) throw new Error(`no beacon of height ${ctx.height}`);
  return beacon;
}

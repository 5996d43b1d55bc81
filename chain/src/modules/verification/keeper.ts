/** Reads and writes checks, keeps the agendas in step with them, carries decisions out. Holds no rules. */
import { inference, type verification } from "@karat/proto";
import type { Context } from "../../app/module.ts";
import { emitDecided, emitDuty, emitDutyMissed, emitValuesRejected, emitWindowWanted } from "./events.ts";
import type { VerificationDeps } from "./expects.ts";
import { agenda, checks, expiring, openDuties, STORE } from "./keys.ts";
import { addToPool } from "./pool.ts";
import {
  accusersOf,
  type Decision,
  decide,
  dueOf,
  hasCommitted,
  isConvened,
  isDutyOpen,
  isPending,
  isRefuted,
  miss,
  objectorOf,
  overruledBy,
  owesWindow,
} from "./transition.ts";
import { findingsOf } from "./windows.ts";

type Check = verification.Check;

export const read = (ctx: Context, id: Uint8Array): Check | undefined => checks.get(ctx.store(STORE), id);

/** An open check with `assigned` as its new duties; it had no agenda entry. */
export function putOpen(
  deps: VerificationDeps,
  ctx: Context,
  check: Check,
  assigned: readonly verification.Duty[] = [],
): void {
  const store = ctx.store(STORE);
  checks.set(store, check.inferenceId, check);
  agenda.set(store, [dueOf(check), check.inferenceId], true);
  for (const duty of assigned) {
    openDuties.set(store, [duty.validator, duty.inferenceId], true);
    deps.reputation.dutyAssigned(ctx, duty.validator);
    emitDuty(ctx, duty);
  }
}

/** A check with a committee: whoever has answered is asked for a window of its values. */
export function putConvened(
  deps: VerificationDeps,
  ctx: Context,
  check: Check,
  assigned: readonly verification.Duty[],
): void {
  putOpen(deps, ctx, check, assigned);
  for (const duty of check.duties.filter((each) => owesWindow(check, each))) {
    openDuties.set(ctx.store(STORE), [duty.validator, duty.inferenceId], true);
    emitWindowWanted(ctx, duty, dueOf(check));
  }
}

/** An open check after a change of its duties, its agenda entry moved where it now belongs. */
export function putMoved(ctx: Context, before: Check, after: Check): void {
  checks.set(ctx.store(STORE), after.inferenceId, after);
  const [from, to] = [dueOf(before), dueOf(after)];
  if (from === to) return;
  agenda.delete(ctx.store(STORE), [from, after.inferenceId]);
  agenda.set(ctx.store(STORE), [to, after.inferenceId], true);
}

/** Nothing is asked of the validator any more. */
export function putDone(ctx: Context, check: Check, validator: string): void {
  checks.set(ctx.store(STORE), check.inferenceId, check);
  openDuties.delete(ctx.store(STORE), [validator, check.inferenceId]);
}

/** A verdict has come: the duty is done, and counts for the validator whatever the verdict. */
export function putAnswer(deps: VerificationDeps, ctx: Context, check: Check, validator: string): void {
  putDone(ctx, check, validator);
  deps.rewards.duty(ctx, validator, deps.epochs.current(ctx).number);
}

/**
 * Counts as missed what has passed its deadline at the end of this block: commitments that were not made, and those that no verdict has
 * opened. The check as it is then, not written yet.
 */
export function missLateDuties(deps: VerificationDeps, ctx: Context, check: Check): Check {
  const isLate = (duty: verification.Duty): boolean =>
    isDutyOpen(duty) && ctx.height >= (hasCommitted(duty) ? duty.deadlineHeight : duty.commitDeadlineHeight);
  for (const duty of check.duties.filter(isLate)) {
    openDuties.delete(ctx.store(STORE), [duty.validator, duty.inferenceId]);
    deps.reputation.dutyMissed(ctx, duty.validator);
    if (hasCommitted(duty)) deps.reputation.unrevealed(ctx, duty.validator);
    deps.rewards.dutyMissed(ctx, duty.validator, deps.epochs.current(ctx).number);
    emitDutyMissed(ctx, duty);
  }
  return miss(check, isLate);
}

/** The executor's own words have ended the inference: nothing is left to find out, and nobody missed anything. */
export function isMoot(deps: VerificationDeps, ctx: Context, id: Uint8Array): boolean {
  return deps.inferences.get(ctx, id)?.status !== inference.InferenceStatus.FINISHED;
}

/** Ends a check and carries out what that means. Its agenda entry is the caller's to remove. */
export function conclude(deps: VerificationDeps, ctx: Context, check: Check, decision: Decision): void {
  const store = ctx.store(STORE);
  const decided = { ...decide(check, decision, ctx.height), bond: 0n };
  checks.set(store, decided.inferenceId, decided);
  for (const duty of check.duties.filter((each) => isPending(check, each))) {
    openDuties.delete(store, [duty.validator, duty.inferenceId]);
  }
  expiring.set(store, [ctx.height + deps.params.get(ctx).retentionBlocks, decided.inferenceId], true);
  emitDecided(ctx, decided);
  settleBond(deps, ctx, check, decision);
  for (const validator of overruledBy(check, decision)) deps.reputation.overruled(ctx, validator);
  if (isConvened(check) && decision !== "close") settleValues(deps, ctx, check);
  carryOut(deps, ctx, decided, decision);
}

const hasComputed = (duty: verification.Duty): boolean => hasCommitted(duty) && !isDutyOpen(duty) && !duty.missed;

function cleanTokens(deps: VerificationDeps, ctx: Context, { inferenceId, pooled }: Check): bigint {
  return [inferenceId, ...pooled].reduce(
    (sum, id) => sum + BigInt(deps.inferences.get(ctx, id)?.completionTokens ?? 0),
    0n,
  );
}

/** An accusation costs its bond when two thirds stand against it; a committee that does not come together is not the accuser's fault. */
function settleBond(deps: VerificationDeps, ctx: Context, check: Check, decision: Decision): void {
  if (check.bond === 0n) return;
  const accuser = objectorOf(check)!;
  deps.participants.releaseBond(ctx, accuser, check.bond);
  if (decision === "overrule" && isRefuted(check)) deps.participants.fine(ctx, accuser, check.bond);
}

/** Whoever has not computed what it committed to pays as for a false answer; the fine goes to the community, nobody gains by it. */
function settleValues(deps: VerificationDeps, ctx: Context, check: Check): void {
  const { agreed, apart, withheld, idle } = findingsOf(check);
  for (const validator of agreed) deps.reputation.looked(ctx, validator, false);
  for (const validator of [...apart, ...withheld]) {
    deps.participants.fine(ctx, validator, deps.params.get(ctx).failureFine);
    deps.reputation.looked(ctx, validator, true);
    emitValuesRejected(ctx, check.inferenceId, validator, apart.includes(validator) ? "apart" : "withheld");
  }
  for (const validator of idle) deps.reputation.overruled(ctx, validator);
}

function carryOut(deps: VerificationDeps, ctx: Context, check: Check, decision: Decision): void {
  const { inferenceId: id, executor, model } = check;
  const record = deps.inferences.get(ctx, id);
  switch (decision) {
    case "close":
      return;
    case "giveUp":
    case "abstain":
      // Who computed and could not tell has committed to what it saw; a refusal of the engine is no evidence to come.
      if (record !== undefined && check.pooled.length === 0 && check.duties.some(hasComputed)) addToPool(ctx, record);
      deps.reputation.abstain(ctx, executor);
      deps.inferences.accept(ctx, id);
      return;
    case "overrule":
      deps.reputation.pass(ctx, executor, model, cleanTokens(deps, ctx, check));
      deps.inferences.accept(ctx, id);
      return;
    case "accept":
      deps.reputation.pass(ctx, executor, model, cleanTokens(deps, ctx, check));
      deps.inferences.accept(ctx, id);
      return;
    case "leaveUndecided":
      deps.inferences.leaveUndecided(ctx, id);
      return;
    case "uphold":
      if (record === undefined || !deps.inferences.invalidate(ctx, id)) return;
      for (const other of check.pooled) deps.inferences.invalidate(ctx, other);
      deps.reputation.fail(ctx, { operator: executor, model, accusers: accusersOf(check), epoch: record.epoch });
      return;
    default:
      decision satisfies never;
  }
}

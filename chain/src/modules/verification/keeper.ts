/** Reads and writes checks, keeps the agendas in step with them, carries decisions out. Holds no rules. */
import { inference, type verification } from "@karat/proto";
import type { Context } from "../../app/module.ts";
import { emitDecided, emitDuty, emitDutyMissed } from "./events.ts";
import type { VerificationDeps } from "./expects.ts";
import { agenda, checks, expiring, openDuties, STORE } from "./keys.ts";
import { accusersOf, type Decision, decide, isDutyOpen, missOpen, objectorOf } from "./transition.ts";

type Check = verification.Check;

export const read = (ctx: Context, id: Uint8Array): Check | undefined => checks.get(ctx.store(STORE), id);

/** An open check with `assigned` as its new duties, to be looked at again at the end of `due`. */
export function putOpen(
  deps: VerificationDeps,
  ctx: Context,
  check: Check,
  due: bigint,
  assigned: readonly verification.Duty[] = [],
): void {
  const store = ctx.store(STORE);
  checks.set(store, check.inferenceId, check);
  agenda.set(store, [due, check.inferenceId], true);
  for (const duty of assigned) {
    openDuties.set(store, [duty.validator, duty.inferenceId], true);
    deps.reputation.dutyAssigned(ctx, duty.validator);
    emitDuty(ctx, duty);
  }
}

/** A verdict has come: the duty is done, and counts for the validator whatever the verdict. */
export function putAnswer(deps: VerificationDeps, ctx: Context, check: Check, validator: string): void {
  checks.set(ctx.store(STORE), check.inferenceId, check);
  openDuties.delete(ctx.store(STORE), [validator, check.inferenceId]);
  deps.rewards.duty(ctx, validator, deps.epochs.current(ctx).number);
}

/** Counts what is open as missed; the check as it is then, not written yet. */
export function missOpenDuties(deps: VerificationDeps, ctx: Context, check: Check): Check {
  for (const duty of check.duties.filter(isDutyOpen)) {
    openDuties.delete(ctx.store(STORE), [duty.validator, duty.inferenceId]);
    deps.reputation.dutyMissed(ctx, duty.validator);
    deps.rewards.dutyMissed(ctx, duty.validator, deps.epochs.current(ctx).number);
    emitDutyMissed(ctx, duty);
  }
  return missOpen(check);
}

/** The executor's own words have ended the inference: nothing is left to find out, and nobody missed anything. */
export function isMoot(deps: VerificationDeps, ctx: Context, id: Uint8Array): boolean {
  return deps.inferences.get(ctx, id)?.status !== inference.InferenceStatus.FINISHED;
}

/** Ends a check and carries out what that means. Its agenda entry is the caller's to remove. */
export function conclude(deps: VerificationDeps, ctx: Context, check: Check, decision: Decision): void {
  const store = ctx.store(STORE);
  const decided = decide(check, decision, ctx.height);
  checks.set(store, decided.inferenceId, decided);
  for (const duty of decided.duties.filter(isDutyOpen)) openDuties.delete(store, [duty.validator, duty.inferenceId]);
  expiring.set(store, [ctx.height + deps.params.get(ctx).retentionBlocks, decided.inferenceId], true);
  emitDecided(ctx, decided);
  carryOut(deps, ctx, decided, decision);
}

function carryOut(deps: VerificationDeps, ctx: Context, check: Check, decision: Decision): void {
  const { inferenceId: id, executor, model } = check;
  const record = deps.inferences.get(ctx, id);
  switch (decision) {
    case "close":
      return;
    case "giveUp":
    case "abstain":
      deps.reputation.abstain(ctx, executor);
      deps.inferences.accept(ctx, id);
      return;
    case "overrule":
      deps.reputation.overruled(ctx, objectorOf(check)!);
      deps.reputation.pass(ctx, executor, model, BigInt(record?.completionTokens ?? 0));
      deps.inferences.accept(ctx, id);
      return;
    case "accept":
      deps.reputation.pass(ctx, executor, model, BigInt(record?.completionTokens ?? 0));
      deps.inferences.accept(ctx, id);
      return;
    case "leaveUndecided":
      deps.inferences.leaveUndecided(ctx, id);
      return;
    case "uphold":
      if (record === undefined || !deps.inferences.invalidate(ctx, id)) return;
      deps.reputation.fail(ctx, { operator: executor, model, accusers: accusersOf(check), epoch: record.epoch });
      return;
    default:
      decision satisfies never;
  }
}

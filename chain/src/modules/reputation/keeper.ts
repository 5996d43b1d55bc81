/** Reads and writes standings and reputations; carries out what a conviction means. Holds no rules. */
import { reputation } from "@karat/proto";
import type { Context } from "../../app/module.ts";
import type { ReputationDeps } from "./expects.ts";
import { ofOperator, reputations, STORE, standings } from "./keys.ts";
import {
  addFail,
  addMiss,
  addPass,
  addServed,
  credit,
  distrust,
  exclude,
  forfeit,
  inEpoch,
  isUnreliable,
  newReputation,
  newStanding,
} from "./transition.ts";

type Standing = reputation.Standing;
type Reputation = reputation.Reputation;
const { StandingState } = reputation;

export interface Failure {
  /** Operator address of the executor. */
  readonly operator: string;
  readonly model: string;
  /** Operators that confirmed it. */
  readonly accusers: readonly string[];
  /** Epoch of the inference. */
  readonly epoch: bigint;
}

export function readStanding(ctx: Context, operator: string): Standing {
  return standings.get(ctx.store(STORE), operator) ?? newStanding(operator);
}

export function readReputation(ctx: Context, operator: string, model: string, epoch: bigint): Reputation {
  return inEpoch(reputations.get(ctx.store(STORE), [operator, model]) ?? newReputation(operator, model), epoch);
}

/** Adds to counters that judge nobody by themselves. */
export function count(
  ctx: Context,
  operator: string,
  counter: "assigned" | "dutiesAssigned" | "dutiesMissed" | "unrevealed" | "abstentions",
  more = 1n,
): void {
  const standing = readStanding(ctx, operator);
  standings.set(ctx.store(STORE), operator, { ...standing, [counter]: standing[counter] + more });
}

/** More inferences of the pair in this epoch: promises kept. */
export function countInferences(
  deps: ReputationDeps,
  ctx: Context,
  operator: string,
  model: string,
  count: bigint,
): void {
  const before = readStanding(ctx, operator);
  writeStanding(deps, ctx, before, addServed(before, deps.params.get(ctx), count));
  const row = readReputation(ctx, operator, model, deps.epochs.current(ctx).number);
  writeReputation(ctx, { ...row, inferencesThisEpoch: row.inferencesThisEpoch + count });
}

export function pass(deps: ReputationDeps, ctx: Context, operator: string, model: string, cleanTokens: bigint): void {
  const params = deps.params.get(ctx);
  const { reputationHalfTokens, reputationGrowthCapMicros } = params;
  const before = readStanding(ctx, operator);
  writeStanding(deps, ctx, before, addPass(before, params));
  const row = readReputation(ctx, operator, model, deps.epochs.current(ctx).number);
  writeReputation(ctx, credit(row, cleanTokens, reputationHalfTokens, reputationGrowthCapMicros));
}

/** A confirmed failure: fined at once; excluded when the evidence is enough. */
export function fail(deps: ReputationDeps, ctx: Context, failure: Failure): void {
  const { operator, accusers, epoch } = failure;
  fine(deps, ctx, operator, accusers[0]);
  // What was in flight when the operator was excluded does not convict it a second time.
  if (isPunished(deps, ctx, operator, epoch)) return;
  const before = readStanding(ctx, operator);
  const after = addFail(before, accusers, deps.params.get(ctx));
  settleStanding(deps, ctx, before, after, epoch);
}

/** A receipt without a finish: evidence, and exclusion when it is enough. */
export function miss(deps: ReputationDeps, ctx: Context, operator: string): void {
  const before = readStanding(ctx, operator);
  const after = addMiss(before, deps.params.get(ctx));
  const { number } = deps.epochs.current(ctx);
  if (isPunished(deps, ctx, operator, number)) {
    standings.set(ctx.store(STORE), operator, { ...before, misses: after.misses });
  } else settleStanding(deps, ctx, before, after, number);
}

/** A committee has found otherwise than this validator: too often is more than error. */
export function overrule(deps: ReputationDeps, ctx: Context, validator: string): void {
  const before = readStanding(ctx, validator);
  judgeValidator(deps, ctx, { ...before, overruled: before.overruled + 1n });
}

/** Its values were compared with those of others. */
export function look(deps: ReputationDeps, ctx: Context, validator: string, apart: boolean): void {
  const before = readStanding(ctx, validator);
  judgeValidator(deps, ctx, { ...before, looks: before.looks + 1n, apart: before.apart + (apart ? 1n : 0n) });
}

function judgeValidator(deps: ReputationDeps, ctx: Context, after: Standing): void {
  const validator = after.participant;
  const store = ctx.store(STORE);
  if (!isUnreliable(after, deps.params.get(ctx).verdictErrorMicros)) {
    standings.set(store, validator, after);
    return;
  }
  const { number } = deps.epochs.current(ctx);
  standings.set(store, validator, distrust(after, number));
  deps.rewards.forfeitDuties(ctx, validator, number);
  forfeitReputations(ctx, validator);
  ctx.emit("validator_unreliable", {
    participant: validator,
    overruled: String(after.overruled),
    apart: String(after.apart),
  });
}

/** Its verdicts are asked for again in the next epoch. */
export const isDistrusted = (deps: ReputationDeps, ctx: Context, validator: string): boolean =>
  readStanding(ctx, validator).unreliableUntil > deps.epochs.current(ctx).number;

function settleStanding(deps: ReputationDeps, ctx: Context, before: Standing, after: Standing, epoch: bigint): void {
  if (after.state !== StandingState.EXCLUDED) writeStanding(deps, ctx, before, after);
  // Service that was counted stays counted.
  else excludeNow(deps, ctx, { ...before, misses: after.misses }, epoch);
}

/** Excluded at once, on evidence that its own key has signed. */
export function convict(deps: ReputationDeps, ctx: Context, { operator, epoch }: Omit<Failure, "accusers">): void {
  fine(deps, ctx, operator);
  if (!isPunished(deps, ctx, operator, epoch)) excludeNow(deps, ctx, readStanding(ctx, operator), epoch);
}

/** A share goes to the accuser, where there was one. */
function fine(deps: ReputationDeps, ctx: Context, operator: string, accuser?: string): void {
  const { failureFine, accuserShareBps } = deps.params.get(ctx);
  const share = accuser === undefined ? undefined : { to: accuser, bps: accuserShareBps };
  deps.participants.fine(ctx, operator, failureFine, share);
}

function isPunished(deps: ReputationDeps, ctx: Context, operator: string, epoch: bigint): boolean {
  const known = deps.participants.byOperator(ctx, operator);
  return known === undefined || (known.convictions > 0 && epoch <= known.excludedEpoch);
}

function excludeNow(deps: ReputationDeps, ctx: Context, before: Standing, fromEpoch: bigint): void {
  const operator = before.participant;
  deps.participants.convict(ctx, operator, deps.epochs.current(ctx).number);
  deps.epochs.exclude(ctx, operator);
  deps.rewards.exclude(ctx, operator, fromEpoch);
  writeStanding(deps, ctx, before, exclude(before));
  forfeitReputations(ctx, operator);
}

function forfeitReputations(ctx: Context, operator: string): void {
  const rows = [...reputations.entries(ctx.store(STORE), { prefix: ofOperator(operator) })];
  for (const [, row] of rows) writeReputation(ctx, forfeit(row));
}

function writeStanding(deps: ReputationDeps, ctx: Context, before: Standing, after: Standing): void {
  standings.set(ctx.store(STORE), after.participant, after);
  if (after.state !== before.state) {
    if (after.state === StandingState.SUSPENDED) deps.epochs.suspend(ctx, after.participant);
    else deps.epochs.restore(ctx, after.participant);
    ctx.emit("standing_changed", {
      participant: after.participant,
      state: reputation.standingStateToJSON(after.state).slice("STANDING_STATE_".length).toLowerCase(),
    });
  }
}

function writeReputation(ctx: Context, row: Reputation): void {
  reputations.set(ctx.store(STORE), [row.participant, row.model], row);
}

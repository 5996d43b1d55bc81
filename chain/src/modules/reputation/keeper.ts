/** Reads and writes standings and reputations; carries out what a conviction means. Holds no rules. */
import { reputation } from "@karat/proto";
import type { Context } from "../../app/module.ts";
import type { ReputationDeps } from "./expects.ts";
import { ofOperator, reputations, STORE, standings } from "./keys.ts";
import { addFail, addPass, credit, exclude, forfeit, inEpoch, newReputation, newStanding } from "./transition.ts";

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
  counter: "misses" | "assigned" | "dutiesAssigned" | "dutiesMissed" | "overruled" | "abstentions",
): void {
  const standing = readStanding(ctx, operator);
  standings.set(ctx.store(STORE), operator, { ...standing, [counter]: standing[counter] + 1n });
}

/** One more inference of the pair in this epoch. */
export function countInference(deps: ReputationDeps, ctx: Context, operator: string, model: string): void {
  const row = readReputation(ctx, operator, model, deps.epochs.current(ctx).number);
  writeReputation(ctx, { ...row, inferencesThisEpoch: row.inferencesThisEpoch + 1n });
}

export function pass(deps: ReputationDeps, ctx: Context, operator: string, model: string, cleanTokens: bigint): void {
  const { alphaMicros, reputationHalfTokens, reputationGrowthCapMicros } = deps.params.get(ctx);
  writeStanding(ctx, readStanding(ctx, operator), addPass(readStanding(ctx, operator), alphaMicros));
  const row = readReputation(ctx, operator, model, deps.epochs.current(ctx).number);
  writeReputation(ctx, credit(row, cleanTokens, reputationHalfTokens, reputationGrowthCapMicros));
}

/** A confirmed failure: fined at once; excluded when the evidence is enough. */
export function fail(deps: ReputationDeps, ctx: Context, failure: Failure): void {
  const { operator, accusers, epoch } = failure;
  fine(deps, ctx, operator);
  // What was in flight when the operator was excluded does not convict it a second time.
  if (isPunished(deps, ctx, operator, epoch)) return;
  const before = readStanding(ctx, operator);
  const after = addFail(before, accusers, deps.params.get(ctx).alphaMicros);
  if (after.state === StandingState.EXCLUDED) excludeNow(deps, ctx, before, epoch);
  else writeStanding(ctx, before, after);
}

/** Excluded at once, on evidence that its own key has signed. */
export function convict(deps: ReputationDeps, ctx: Context, { operator, epoch }: Omit<Failure, "accusers">): void {
  fine(deps, ctx, operator);
  if (!isPunished(deps, ctx, operator, epoch)) excludeNow(deps, ctx, readStanding(ctx, operator), epoch);
}

function fine(deps: ReputationDeps, ctx: Context, operator: string): void {
  deps.participants.fine(ctx, operator, deps.params.get(ctx).failureFine);
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
  writeStanding(ctx, before, exclude(before));
  const rows = [...reputations.entries(ctx.store(STORE), { prefix: ofOperator(operator) })];
  for (const [, row] of rows) writeReputation(ctx, forfeit(row));
}

function writeStanding(ctx: Context, before: Standing, after: Standing): void {
  standings.set(ctx.store(STORE), after.participant, after);
  if (after.state !== before.state) {
    ctx.emit("standing_changed", {
      participant: after.participant,
      state: reputation.standingStateToJSON(after.state).slice("STANDING_STATE_".length).toLowerCase(),
    });
  }
}

function writeReputation(ctx: Context, row: Reputation): void {
  reputations.set(ctx.store(STORE), [row.participant, row.model], row);
}

/** How often an executor is checked: verification.md §6 on the chain's numbers. */
import { reputation } from "@karat/proto";
import { checkingRateMicros, epochEmission } from "@karat/rules";
import type { Context } from "../../app/module.ts";
import type { ReputationDeps } from "./expects.ts";
import { readReputation, readStanding } from "./keeper.ts";

const { StandingState } = reputation;
const ALWAYS = 1_000_000;
const BPS = 10_000n;

/**
 * The rate for the next inference of a pair, in millionths. What is the same for all pairs is read once, so that the
 * function serves a whole block; of the next `count` together it is that of the last, since it grows with their number.
 */
export function checkingRates(
  deps: ReputationDeps,
  ctx: Context,
): (operator: string, model: string, count?: bigint) => number {
  const params = deps.params.get(ctx);
  const epoch = deps.epochs.current(ctx);
  const weights = new Map(epoch.members.map((member) => [member.operator, member.weight]));
  const total = epoch.members.reduce((sum, member) => sum + member.weight, 0n);
  const emission = epochEmission(epoch.number, {
    initial: params.epochEmission,
    halvingEpochs: BigInt(params.emissionHalvingEpochs),
  });

  return (operator, model, count = 1n) => {
    const row = readReputation(ctx, operator, model, epoch.number);
    // Every active pair is checked at least once an epoch; whoever is under suspicion, always.
    if (row.inferencesThisEpoch === 0n || readStanding(ctx, operator).state !== StandingState.GOOD) return ALWAYS;
    const detectionMicros = deps.params.model(ctx, model)?.detectionMicros ?? 0;
    const collateral = deps.participants.byOperator(ctx, operator)?.collateral ?? 0n;
    return checkingRateMicros({
      reputation: row.valueMicros,
      inferencesThisEpoch: row.inferencesThisEpoch + count,
      // What is at stake, rounded down: the share of the emission and what a conviction slashes.
      reward: total === 0n ? 0n : (emission * (weights.get(operator) ?? 0n)) / total,
      collateral: (collateral * BigInt(params.slashBps)) / BPS,
      gainPerInference: params.gainPerInference,
      floorMicros: params.checkingFloorMicros,
      ...(detectionMicros > 0 && { detectionMicros }),
    });
  };
}

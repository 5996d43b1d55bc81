import { participant } from "@karat/proto";
import type { Context, ValidatorUpdate } from "../../app/module.ts";
import { epochStarted, participantReinstated } from "./events.ts";
import type { EpochDeps } from "./expects.ts";
import type { EpochKeeper } from "./keeper.ts";
import { currentNumber, epochs, STORE } from "./keys.ts";
import {
  beaconWindow,
  carrySuspensions,
  consensusSet,
  convictedDuring,
  nextEpoch,
  snapshot,
  validatorChanges,
} from "./transition.ts";

/** Old snapshots deleted at one switch; more than one, so that fewer kept epochs are reached at last. */
const PRUNED_PER_SWITCH = 4;

/**
 * At the last height of an epoch: whoever served an exclusion comes back, the snapshot of the next epoch is taken.
 * Effects: participants' states, the new epoch, forgotten epochs, and what is returned for consensus.
 */
export function switchEpoch(keeper: EpochKeeper, deps: EpochDeps, ctx: Context): readonly ValidatorUpdate[] {
  const ended = keeper.current(ctx);
  reinstateServed(deps, ctx, ended);
  deps.params.applyPending(ctx);
  const rules = deps.params.get(ctx);
  const members = snapshot(deps.participants.all(ctx), rules);
  const next = carrySuspensions(ended, nextEpoch(ended, members, rules.epochBlocks));
  epochs.set(ctx.store(STORE), next.number, next);
  currentNumber.set(ctx.store(STORE), next.number);
  epochStarted(ctx, next);
  forgetEpochs(ctx, next.number, BigInt(rules.claimEpochs), beaconWindow(rules));
  return updateValidators(keeper, deps, ctx);
}

/** Brings the recorded consensus set to the running epoch's members; returns what changed. */
export function updateValidators(keeper: EpochKeeper, deps: EpochDeps, ctx: Context): readonly ValidatorUpdate[] {
  const { members } = keeper.current(ctx);
  const target = consensusSet(members, (operator) => {
    const key = deps.participants.byOperator(ctx, operator)?.consensusKey;
    return key !== undefined && key.length > 0 && deps.jail?.isJailed(ctx, key) ? undefined : key;
  });
  const changes = validatorChanges(keeper.validators(ctx), target);
  if (changes.length > 0) keeper.setValidators(ctx, target);
  return changes;
}

/** Convicted in epoch n: out for its rest and in n+1, back in n+2. */
function reinstateServed(deps: EpochDeps, ctx: Context, ended: ReturnType<EpochKeeper["current"]>): void {
  for (const { operator, status } of deps.participants.all(ctx)) {
    if (status !== participant.ParticipantStatus.EXCLUDED || convictedDuring(ended, operator)) continue;
    deps.participants.reinstate(ctx, operator);
    participantReinstated(ctx, operator, ended.number + 1n);
  }
}

/** Keeps what rewards can be claimed for, and what an anchor or a beacon may still refer to. */
function forgetEpochs(ctx: Context, number: bigint, claimEpochs: bigint, window: bigint): void {
  const store = ctx.store(STORE);
  const oldest = Array.from(epochs.entries(store, { limit: PRUNED_PER_SWITCH }), ([, entry]) => entry);
  for (const entry of oldest) {
    if (entry.number + claimEpochs + 3n < number && entry.endHeight + window < ctx.height) {
      epochs.delete(store, entry.number);
    }
  }
}

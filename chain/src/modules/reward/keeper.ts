import type { reward } from "@karat/proto";
import { feeSplit } from "@karat/rules";
import type { Context } from "../../app/module.ts";
import { addU64, maxU64 } from "../../numeric/checked.ts";
import { rewardsForfeited } from "./events.ts";
import type { RewardDeps } from "./expects.ts";
import { ACCOUNT, COMMUNITY, dutyPools, firstOpen, rows, STORE } from "./keys.ts";
import { emptyRow, unclaimed } from "./transition.ts";

type EpochReward = reward.EpochReward;

export interface Payment {
  /** Operators; without a transfer agent its part goes to the community. */
  readonly executor: string;
  readonly transferAgent: string | undefined;
  /** In the module account `reward` already. */
  readonly amount: bigint;
}

/** What is said of an epoch that is settled already counts for the first that is not. */
export interface RewardKeeper {
  get(ctx: Context, epoch: bigint, operator: string): EpochReward | undefined;
  /**
   * Splits the cost of each settled inference by the chain's shares; the validators' parts join the pool of the epoch.
   * Effects on the bank: reward → operators, community, one transfer for each of them.
   */
  distribute(ctx: Context, epoch: bigint, payments: readonly Payment[]): void;
  /**
   * Takes the rewards of every epoch from that one through the running one; what is settled and unclaimed goes to
   * the community at once, what is claimed is gone.
   */
  exclude(ctx: Context, operator: string, fromEpoch: bigint): void;
  /** So many inferences were assigned to the executor. */
  assigned(ctx: Context, operator: string, epoch: bigint, count: bigint): void;
  missed(ctx: Context, operator: string, epoch: bigint): void;
  /** A duty was answered. */
  duty(ctx: Context, operator: string, epoch: bigint): void;
  dutyMissed(ctx: Context, operator: string, epoch: bigint): void;
  /** Its duties of the epoch earn nothing. */
  forfeitDuties(ctx: Context, operator: string, epoch: bigint): void;
}

type Counter = "assigned" | "missed" | "duties" | "dutiesMissed" | "workFees";

export function createRewardKeeper({ bank, params, epochs }: RewardDeps): RewardKeeper {
  function open(ctx: Context, number: bigint): bigint {
    return maxU64(number, firstOpen.get(ctx.store(STORE)) ?? 0n);
  }

  function add(ctx: Context, operator: string, epoch: bigint, counter: Counter, amount: bigint): void {
    const number = open(ctx, epoch);
    const row = rows.get(ctx.store(STORE), [number, operator]) ?? emptyRow(number, operator);
    rows.set(ctx.store(STORE), [number, operator], { ...row, [counter]: addU64(row[counter], amount) });
  }

  return {
    get: (ctx, epoch, operator) => rows.get(ctx.store(STORE), [epoch, operator]),

    distribute(ctx, epoch, payments) {
      const shares = params.get(ctx);
      const work = new Map<string, bigint>();
      const earn = (operator: string, amount: bigint) => work.set(operator, addU64(work.get(operator) ?? 0n, amount));
      let validators = 0n;
      let community = 0n;
      for (const { executor, transferAgent, amount } of payments) {
        const split = feeSplit(amount, shares);
        earn(executor, split.executor);
        if (transferAgent === undefined) community = addU64(community, split.transferAgent);
        else earn(transferAgent, split.transferAgent);
        community = addU64(community, split.community);
        validators = addU64(validators, split.validators);
      }
      for (const [operator, amount] of work) {
        bank.send(ctx, ACCOUNT, operator, amount);
        add(ctx, operator, epoch, "workFees", amount);
      }
      bank.send(ctx, ACCOUNT, COMMUNITY, community);
      if (payments.length === 0) return;
      const pool = open(ctx, epoch);
      const store = ctx.store(STORE);
      dutyPools.set(store, pool, addU64(dutyPools.get(store, pool) ?? 0n, validators));
    },

    exclude(ctx, operator, fromEpoch) {
      const store = ctx.store(STORE);
      const last = epochs.current(ctx).number;
      const kept = BigInt(params.get(ctx).claimEpochs) + 2n;
      for (let number = maxU64(fromEpoch, last > kept ? last - kept : 0n); number <= last; number++) {
        const row = rows.get(store, [number, operator]);
        // Settled without a row: nothing was earned, or it expired.
        if (row === undefined && number < open(ctx, 0n)) continue;
        const before = row ?? emptyRow(number, operator);
        const lost = unclaimed(before);
        const after = before.claimed ? before : { ...before, emission: 0n, dutyFees: 0n };
        rows.set(store, [number, operator], { ...after, excluded: true });
        if (lost === 0n) continue;
        bank.send(ctx, ACCOUNT, COMMUNITY, lost);
        rewardsForfeited(ctx, operator, number, lost);
      }
    },

    assigned: (ctx, operator, epoch, count) => add(ctx, operator, epoch, "assigned", count),
    missed: (ctx, operator, epoch) => add(ctx, operator, epoch, "missed", 1n),
    duty: (ctx, operator, epoch) => add(ctx, operator, epoch, "duties", 1n),
    forfeitDuties(ctx, operator, epoch) {
      const number = open(ctx, epoch);
      const row = rows.get(ctx.store(STORE), [number, operator]) ?? emptyRow(number, operator);
      rows.set(ctx.store(STORE), [number, operator], { ...row, dutiesForfeited: true });
    },
    dutyMissed: (ctx, operator, epoch) => add(ctx, operator, epoch, "dutiesMissed", 1n),
  };
}

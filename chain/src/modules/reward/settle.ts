import { epochEmission } from "@karat/rules";
import type { Context } from "../../app/module.ts";
import { addU64 } from "../../numeric/checked.ts";
import { u64 } from "../../store/collections.ts";
import { rewardsExpired, rewardsSettled } from "./events.ts";
import type { RewardDeps } from "./expects.ts";
import { ACCOUNT, COMMUNITY, dutyPools, firstOpen, minted, rows, STORE } from "./keys.ts";
import { settleEpoch, unclaimed } from "./transition.ts";

/** Rows that expire in one block at most. */
const EXPIRED_PER_BLOCK = 500;

/**
 * At the last height of epoch n: settles n−1, whose checks had the whole of n to be decided. Effects: emission minted,
 * unearned parts sent to the community, one row per member.
 */
export function settleAtSwitch(deps: RewardDeps, ctx: Context): void {
  const current = deps.epochs.current(ctx);
  if (ctx.height < current.endHeight || current.number === 0n) return;
  const number = current.number - 1n;
  if (number < (firstOpen.get(ctx.store(STORE)) ?? 0n)) return;
  settle(deps, ctx, number);
}

function settle({ bank, params, epochs }: RewardDeps, ctx: Context, number: bigint): void {
  const store = ctx.store(STORE);
  const rules = params.get(ctx);
  const emission = epochEmission(number, {
    initial: rules.epochEmission,
    halvingEpochs: BigInt(rules.emissionHalvingEpochs),
  });
  const dutyPool = dutyPools.get(store, number) ?? 0n;
  const counted = rowsOf(ctx, number);
  const members = epochs.byNumber(ctx, number)?.members ?? [];
  const settled = settleEpoch({ number, emission, dutyPool, members, rows: counted });

  bank.mint(ctx, ACCOUNT, emission);
  minted.set(store, addU64(minted.get(store) ?? 0n, emission));
  bank.send(ctx, ACCOUNT, COMMUNITY, settled.community);
  for (const row of settled.rows) rows.set(store, [number, row.participant], row);
  dutyPools.delete(store, number);
  firstOpen.set(store, number + 1n);
  epochs.markSettled(ctx, number);
  rewardsSettled(ctx, number, { emission, dutyPool, community: settled.community });
}

/** Everybody who was counted in an epoch: members of it or of one near it, so no more than a few snapshots hold. */
function rowsOf(ctx: Context, number: bigint) {
  const entries = rows.entries(ctx.store(STORE), { prefix: u64.toKey(number) });
  return Array.from(entries, ([, row]) => row);
}

/** After claim_epochs whole epochs in which they could be claimed, rewards go to the community and rows go away. */
export function expireRewards({ bank, params, epochs }: RewardDeps, ctx: Context): void {
  const store = ctx.store(STORE);
  const claimable = BigInt(params.get(ctx).claimEpochs) + 1n;
  const current = epochs.current(ctx).number;
  let lost = 0n;
  for (const [key, row] of [...rows.entries(store, { limit: EXPIRED_PER_BLOCK })]) {
    if (row.epoch + claimable >= current) break;
    lost = addU64(lost, unclaimed(row));
    rows.delete(store, key);
  }
  if (lost === 0n) return;
  bank.send(ctx, ACCOUNT, COMMUNITY, lost);
  rewardsExpired(ctx, lost);
}

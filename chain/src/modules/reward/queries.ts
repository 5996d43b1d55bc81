import { reward } from "@karat/proto";
import type { Context, QueryHandler } from "../../app/module.ts";
import { defineQuery, found, queriedAddress } from "../support/query.ts";
import type { RewardDeps } from "./expects.ts";
import { ACCOUNT, COMMUNITY, firstOpen, minted, rows, STORE } from "./keys.ts";
import { unclaimed } from "./transition.ts";

/** Rows that `Claimable` answers with at most. */
const MAX_CLAIMABLE = 200;

export function rewardQueries({ bank, participants }: RewardDeps): Readonly<Record<string, QueryHandler>> {
  const operatorOf = (ctx: Context, address: string) =>
    participants.byAddress(ctx, queriedAddress(address))?.operator ?? address;

  return {
    // Of an epoch that is not settled: what is counted so far.
    "/karat.reward.v1.Query/EpochReward": defineQuery(
      reward.QueryEpochRewardRequest,
      reward.QueryEpochRewardResponse,
      (ctx, { epoch, participant }) => ({
        reward: found(rows.get(ctx.store(STORE), [epoch, operatorOf(ctx, participant)]), `reward of epoch ${epoch}`),
      }),
    ),

    "/karat.reward.v1.Query/Claimable": defineQuery(
      reward.QueryClaimableRequest,
      reward.QueryClaimableResponse,
      (ctx, { participant }) => ({ rewards: claimable(ctx, operatorOf(ctx, participant)) }),
    ),

    "/karat.reward.v1.Query/Pools": defineQuery(reward.QueryPoolsRequest, reward.QueryPoolsResponse, (ctx) => ({
      community: bank.balance(ctx, COMMUNITY),
      rewards: bank.balance(ctx, ACCOUNT),
      minted: minted.get(ctx.store(STORE)) ?? 0n,
    })),
  };
}

function claimable(ctx: Context, operator: string): reward.EpochReward[] {
  const store = ctx.store(STORE);
  const [oldest] = [...rows.entries(store, { limit: 1 })];
  const rewards: reward.EpochReward[] = [];
  const end = firstOpen.get(store) ?? 0n;
  for (let number = oldest?.[1].epoch ?? end; number < end && rewards.length < MAX_CLAIMABLE; number++) {
    const row = rows.get(store, [number, operator]);
    if (row !== undefined && unclaimed(row) > 0n) rewards.push(row);
  }
  return rewards;
}

import type { Module } from "../../app/module.ts";
import type { RewardDeps } from "./expects.ts";
import { exportRewards, initRewards } from "./genesis.ts";
import { rewardInvariants } from "./invariants.ts";
import { createRewardKeeper, type RewardKeeper } from "./keeper.ts";
import { STORE } from "./keys.ts";
import { claimRewardsHandler, MSG_CLAIM_REWARDS } from "./msgs/claimRewards.ts";
import { rewardQueries } from "./queries.ts";
import { expireRewards, settleAtSwitch } from "./settle.ts";

export { REWARD_ERRORS } from "./errors.ts";
export type { RewardDeps } from "./expects.ts";
export type { Payment, RewardKeeper } from "./keeper.ts";

export type RewardModule = Module & RewardKeeper;

/** Its end of block runs before the epoch module's, which would switch the epoch under it. */
export function createRewardModule(deps: RewardDeps): RewardModule {
  return {
    ...createRewardKeeper(deps),
    name: STORE,
    messages: { [MSG_CLAIM_REWARDS]: claimRewardsHandler(deps) },
    queries: rewardQueries(deps),
    initGenesis: (ctx, state) => initRewards(deps.bank, ctx, state),
    exportGenesis: (ctx) => exportRewards(ctx),
    endBlock(ctx) {
      settleAtSwitch(deps, ctx);
      expireRewards(deps, ctx);
      return undefined;
    },
    invariants: (ctx) => rewardInvariants(deps.bank, ctx),
  };
}

import { reward } from "@karat/proto";
import { ChainError } from "../../../app/errors.ts";
import { defineMessage, requireAddress } from "../../support/message.ts";
import { REWARD_ERRORS } from "../errors.ts";
import { rewardsClaimed } from "../events.ts";
import type { RewardDeps } from "../expects.ts";
import { ACCOUNT, firstOpen, rows, STORE } from "../keys.ts";
import { unclaimed } from "../transition.ts";

export const MSG_CLAIM_REWARDS = "/karat.reward.v1.MsgClaimRewards";

export const claimRewardsHandler = ({ bank, participants }: RewardDeps) =>
  defineMessage<reward.MsgClaimRewards>({
    codec: reward.MsgClaimRewards,
    response: {
      typeUrl: `${MSG_CLAIM_REWARDS}Response`,
      encode: (message) => reward.MsgClaimRewardsResponse.encode(message as reward.MsgClaimRewardsResponse),
    },
    signers: ({ sender }) => [sender],

    checkStateless(message) {
      requireAddress(message.sender, "sender");
    },

    execute(ctx, { sender, epoch }) {
      const store = ctx.store(STORE);
      // An operator that has left and withdrawn still has its rewards.
      const operator = participants.byAddress(ctx, sender)?.operator ?? sender;
      if (epoch >= (firstOpen.get(store) ?? 0n)) {
        throw new ChainError(REWARD_ERRORS.notSettled, `epoch ${epoch} is not settled`);
      }
      const row = rows.get(store, [epoch, operator]);
      if (row?.claimed) throw new ChainError(REWARD_ERRORS.alreadyClaimed, `claimed at height ${row.claimedHeight}`);
      const amount = row === undefined ? 0n : unclaimed(row);
      if (row === undefined || amount === 0n) {
        throw new ChainError(REWARD_ERRORS.nothingToClaim, `${operator} has nothing to claim for epoch ${epoch}`);
      }

      rows.set(store, [epoch, operator], { ...row, claimed: true, claimedHeight: ctx.height });
      bank.send(ctx, ACCOUNT, operator, amount);
      rewardsClaimed(ctx, operator, epoch, amount);
      return { amount };
    },
  });

import { participant } from "@karat/proto";
import { defineMessage, requireAddress } from "../../support/message.ts";
import { collateralWithdrawn } from "../events.ts";
import type { ParticipantDeps } from "../expects.ts";
import { type ParticipantKeeper, registered, remove } from "../keeper.ts";
import { ACCOUNT, formerConvictions, participants, STORE } from "../keys.ts";
import { withdrawable } from "../transition.ts";

export const MSG_WITHDRAW_COLLATERAL = "/karat.participant.v1.MsgWithdrawCollateral";

export const withdrawCollateralHandler = (keeper: ParticipantKeeper, { bank }: ParticipantDeps) =>
  defineMessage<participant.MsgWithdrawCollateral>({
    codec: participant.MsgWithdrawCollateral,
    response: {
      typeUrl: `${MSG_WITHDRAW_COLLATERAL}Response`,
      encode: (message) =>
        participant.MsgWithdrawCollateralResponse.encode(message as participant.MsgWithdrawCollateralResponse),
    },
    signers: ({ operator }) => [operator],

    checkStateless(message) {
      requireAddress(message.operator, "operator");
    },

    execute(ctx, { operator }) {
      const before = registered(keeper, ctx, operator);
      const amount = withdrawable(before, ctx.height);

      const store = ctx.store(STORE);
      if (before.status === participant.ParticipantStatus.BANNED) {
        // The entry stays, so that neither operator nor keys come back.
        participants.set(store, operator, { ...before, collateral: 0n });
      } else {
        remove(ctx, before);
        if (before.convictions > 0) formerConvictions.set(store, operator, BigInt(before.convictions));
      }
      bank.send(ctx, ACCOUNT, operator, amount);
      collateralWithdrawn(ctx, operator, amount);
      return { amount };
    },
  });

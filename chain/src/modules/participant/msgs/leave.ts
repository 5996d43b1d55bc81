import { participant } from "@karat/proto";
import { ChainError } from "../../../app/errors.ts";
import { defineMessage, requireAddress } from "../../support/message.ts";
import { PARTICIPANT_ERRORS } from "../errors.ts";
import { participantLeaving } from "../events.ts";
import type { ParticipantDeps } from "../expects.ts";
import { type ParticipantKeeper, registered } from "../keeper.ts";
import { participants, STORE } from "../keys.ts";
import { leave } from "../transition.ts";

export const MSG_LEAVE = "/karat.participant.v1.MsgLeave";

export const leaveHandler = (keeper: ParticipantKeeper, { params }: ParticipantDeps) =>
  defineMessage<participant.MsgLeave>({
    codec: participant.MsgLeave,
    response: {
      typeUrl: `${MSG_LEAVE}Response`,
      encode: (message) => participant.MsgLeaveResponse.encode(message as participant.MsgLeaveResponse),
    },
    signers: ({ operator }) => [operator],

    checkStateless(message) {
      requireAddress(message.operator, "operator");
    },

    execute(ctx, { operator }) {
      const before = registered(keeper, ctx, operator);
      const after = leave(before, ctx.height, params.get(ctx).unbondingBlocks);
      if (before.status === participant.ParticipantStatus.BANNED && before.collateral === 0n) {
        throw new ChainError(PARTICIPANT_ERRORS.nothingToWithdraw, "no collateral is left");
      }

      participants.set(ctx.store(STORE), operator, after);
      participantLeaving(ctx, operator, after.unlockHeight);
      return { unlockHeight: after.unlockHeight };
    },
  });

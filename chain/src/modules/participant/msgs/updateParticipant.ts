import { participant } from "@karat/proto";
import { defineMessage, requireAddress } from "../../support/message.ts";
import { checkModels, checkNodeKey, checkOffers, checkUrl } from "../checks.ts";
import { participantUpdated } from "../events.ts";
import type { ParticipantDeps } from "../expects.ts";
import { type ParticipantKeeper, registered, store } from "../keeper.ts";
import { update } from "../transition.ts";

export const MSG_UPDATE = "/karat.participant.v1.MsgUpdateParticipant";

export const updateHandler = (keeper: ParticipantKeeper, { params, epochs }: ParticipantDeps) =>
  defineMessage<participant.MsgUpdateParticipant>({
    codec: participant.MsgUpdateParticipant,
    response: {
      typeUrl: `${MSG_UPDATE}Response`,
      encode: (message) => participant.MsgUpdateParticipantResponse.encode(message),
    },
    signers: ({ operator }) => [operator],

    checkStateless(message) {
      requireAddress(message.operator, "operator");
      if (message.validatorAddress !== "") requireAddress(message.validatorAddress, "validator_address");
      if (message.nodeKey.length > 0) checkNodeKey(message.nodeKey);
      if (message.url !== "") checkUrl(message.url);
      checkOffers(message.offers);
    },

    execute(ctx, message) {
      const before = registered(keeper, ctx, message.operator);
      const after = update(before, message);
      checkModels(params, ctx, message.offers);

      store(ctx, after, before);
      // Offers and weights are frozen until the switch; a replaced key counts from now on.
      epochs.refresh(ctx, after);
      participantUpdated(ctx, after);
      return {};
    },
  });

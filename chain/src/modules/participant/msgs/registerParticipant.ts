import { participant } from "@karat/proto";
import { ChainError } from "../../../app/errors.ts";
import { defineMessage, requireAddress, requireAmount } from "../../support/message.ts";
import { checkConsensusKey, checkConsensusProof, checkModels, checkNodeKey, checkOffers, checkUrl } from "../checks.ts";
import { PARTICIPANT_ERRORS } from "../errors.ts";
import { participantRegistered } from "../events.ts";
import type { ParticipantDeps } from "../expects.ts";
import { MAX_PARTICIPANTS, type ParticipantKeeper, store } from "../keeper.ts";
import { ACCOUNT, count, formerConvictions, STORE } from "../keys.ts";
import { register } from "../transition.ts";

export const MSG_REGISTER = "/karat.participant.v1.MsgRegisterParticipant";

export const registerHandler = (keeper: ParticipantKeeper, { bank, params }: ParticipantDeps) =>
  defineMessage<participant.MsgRegisterParticipant>({
    codec: participant.MsgRegisterParticipant,
    response: {
      typeUrl: `${MSG_REGISTER}Response`,
      encode: (message) => participant.MsgRegisterParticipantResponse.encode(message),
    },
    signers: ({ operator }) => [operator],

    checkStateless(message) {
      requireAddress(message.operator, "operator");
      requireAddress(message.validatorAddress, "validator_address");
      checkNodeKey(message.nodeKey);
      checkConsensusKey(message.consensusKey);
      checkUrl(message.url);
      checkOffers(message.offers);
      requireAmount(message.collateral, "collateral");
    },

    execute(ctx, message) {
      const { operator, collateral } = message;
      const known = keeper.byOperator(ctx, operator);
      if (known !== undefined) {
        const banned = known.status === participant.ParticipantStatus.BANNED;
        throw new ChainError(
          banned ? PARTICIPANT_ERRORS.banned : PARTICIPANT_ERRORS.alreadyRegistered,
          `${operator} is ${banned ? "banned" : "registered already"}`,
        );
      }
      if ((count.get(ctx.store(STORE)) ?? 0n) >= BigInt(MAX_PARTICIPANTS)) {
        throw new ChainError(PARTICIPANT_ERRORS.registryFull, `${MAX_PARTICIPANTS} participants are registered`);
      }
      const { minCollateral } = params.get(ctx);
      if (collateral < minCollateral) {
        throw new ChainError(PARTICIPANT_ERRORS.collateralTooSmall, `collateral must be at least ${minCollateral}`);
      }
      checkModels(params, ctx, message.offers);
      checkConsensusProof(ctx, message);

      const former = formerConvictions.get(ctx.store(STORE), operator) ?? 0n;
      const entry = register(message, { height: ctx.height, convictions: Number(former) });
      store(ctx, entry);
      formerConvictions.delete(ctx.store(STORE), operator);
      bank.send(ctx, operator, ACCOUNT, collateral);
      participantRegistered(ctx, entry);
      return {};
    },
  });

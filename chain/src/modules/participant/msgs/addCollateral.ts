import { participant } from "@karat/proto";
import { ChainError, SDK } from "../../../app/errors.ts";
import { U64_MAX } from "../../../numeric/checked.ts";
import { defineMessage, requireAddress, requireAmount } from "../../support/message.ts";
import { collateralAdded } from "../events.ts";
import type { ParticipantDeps } from "../expects.ts";
import { type ParticipantKeeper, registered } from "../keeper.ts";
import { ACCOUNT, participants, STORE } from "../keys.ts";
import { fund } from "../transition.ts";

export const MSG_ADD_COLLATERAL = "/karat.participant.v1.MsgAddCollateral";

export const addCollateralHandler = (keeper: ParticipantKeeper, { bank }: ParticipantDeps) =>
  defineMessage<participant.MsgAddCollateral>({
    codec: participant.MsgAddCollateral,
    response: {
      typeUrl: `${MSG_ADD_COLLATERAL}Response`,
      encode: (message) => participant.MsgAddCollateralResponse.encode(message),
    },
    signers: ({ operator }) => [operator],

    checkStateless(message) {
      requireAddress(message.operator, "operator");
      requireAmount(message.amount, "amount");
    },

    execute(ctx, { operator, amount }) {
      const before = registered(keeper, ctx, operator);
      if (amount > U64_MAX - before.collateral) throw new ChainError(SDK.insufficientFunds, "nobody holds as much");
      const after = fund(before, amount);

      participants.set(ctx.store(STORE), operator, after);
      bank.send(ctx, operator, ACCOUNT, amount);
      collateralAdded(ctx, operator, amount);
      return {};
    },
  });

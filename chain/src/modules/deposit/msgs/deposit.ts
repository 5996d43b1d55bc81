import { deposit } from "@karat/proto";
import { ChainError, SDK } from "../../../app/errors.ts";
import { U64_MAX } from "../../../numeric/checked.ts";
import { defineMessage, requireAddress, requireAmount } from "../../support/message.ts";
import { deposited } from "../events.ts";
import type { DepositDeps } from "../expects.ts";
import { type DepositKeeper, put } from "../keeper.ts";
import { ACCOUNT } from "../keys.ts";
import { credit } from "../transition.ts";

export const MSG_DEPOSIT = "/karat.deposit.v1.MsgDeposit";

export const depositHandler = (keeper: DepositKeeper, { bank }: DepositDeps) =>
  defineMessage<deposit.MsgDeposit>({
    codec: deposit.MsgDeposit,
    response: {
      typeUrl: `${MSG_DEPOSIT}Response`,
      encode: (message) => deposit.MsgDepositResponse.encode(message),
    },
    signers: ({ sender }) => [sender],

    checkStateless(message) {
      requireAddress(message.sender, "sender");
      if (message.client !== "") requireAddress(message.client, "client");
      requireAmount(message.amount, "amount");
    },

    execute(ctx, { sender, client: named, amount }) {
      const client = named === "" ? sender : named;
      const before = keeper.get(ctx, client);
      if (amount > U64_MAX - before.available - before.locked) {
        throw new ChainError(SDK.insufficientFunds, "nobody holds as much");
      }

      bank.send(ctx, sender, ACCOUNT, amount);
      put(ctx, credit(before, amount));
      deposited(ctx, client, sender, amount);
      return {};
    },
  });

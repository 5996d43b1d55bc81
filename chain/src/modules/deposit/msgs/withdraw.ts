import { deposit } from "@karat/proto";
import { defineMessage, requireAddress } from "../../support/message.ts";
import { depositWithdrawn } from "../events.ts";
import type { DepositDeps } from "../expects.ts";
import { type DepositKeeper, put } from "../keeper.ts";
import { ACCOUNT } from "../keys.ts";
import { withdraw } from "../transition.ts";

export const MSG_WITHDRAW = "/karat.deposit.v1.MsgWithdraw";

export const withdrawHandler = (keeper: DepositKeeper, { bank }: DepositDeps) =>
  defineMessage<deposit.MsgWithdraw>({
    codec: deposit.MsgWithdraw,
    response: {
      typeUrl: `${MSG_WITHDRAW}Response`,
      encode: (message) => deposit.MsgWithdrawResponse.encode(message as deposit.MsgWithdrawResponse),
    },
    signers: ({ client }) => [client],

    checkStateless(message) {
      requireAddress(message.client, "client");
    },

    execute(ctx, { client }) {
      const { deposit: after, amount } = withdraw(keeper.get(ctx, client), ctx.height);

      put(ctx, after);
      bank.send(ctx, ACCOUNT, client, amount);
      depositWithdrawn(ctx, client, amount);
      return { amount };
    },
  });

import { MsgSend, MsgSendResponse } from "cosmjs-types/cosmos/bank/v1beta1/tx";
import { ChainError, SDK } from "../../../app/errors.ts";
import type { MessageHandler } from "../../../app/module.ts";
import { requireAddress } from "../../auth/index.ts";
import type { Bank } from "../keeper.ts";
import { ukaratOf } from "../transition.ts";

export const MSG_SEND = "/cosmos.bank.v1beta1.MsgSend";

/** `blocked`: accounts of modules, whose balances are bookkeeping and take no gifts. */
export function sendHandler(bank: Bank, blocked: ReadonlySet<string>): MessageHandler<MsgSend> {
  return {
    codec: MsgSend,
    response: {
      typeUrl: "/cosmos.bank.v1beta1.MsgSendResponse",
      encode: (message) => MsgSendResponse.encode(message),
    },
    signers: (message) => [message.fromAddress],
    checkStateless(message) {
      requireAddress(message.fromAddress);
      requireAddress(message.toAddress);
      ukaratOf(message.amount);
    },
    execute(ctx, message) {
      if (blocked.has(message.toAddress)) {
        throw new ChainError(SDK.unauthorized, `${message.toAddress} is not allowed to receive funds: unauthorized`);
      }
      bank.send(ctx, message.fromAddress, message.toAddress, ukaratOf(message.amount));
      return {};
    },
  };
}

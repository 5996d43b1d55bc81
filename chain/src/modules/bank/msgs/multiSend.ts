import { MsgMultiSend, MsgMultiSendResponse } from "cosmjs-types/cosmos/bank/v1beta1/tx";
import { ChainError, SDK } from "../../../app/errors.ts";
import type { MessageHandler } from "../../../app/module.ts";
import { requireAddress } from "../../auth/index.ts";
import type { Bank } from "../keeper.ts";
import { ukaratOf } from "../transition.ts";

export const MSG_MULTI_SEND = "/cosmos.bank.v1beta1.MsgMultiSend";
export const MAX_OUTPUTS = 256;

/** One input, as the SDK has it since 0.47; what the outputs receive is what the input pays. */
export function multiSendHandler(bank: Bank, blocked: ReadonlySet<string>): MessageHandler<MsgMultiSend> {
  return {
    codec: MsgMultiSend,
    response: {
      typeUrl: "/cosmos.bank.v1beta1.MsgMultiSendResponse",
      encode: (message) => MsgMultiSendResponse.encode(message),
    },
    signers: (message) => message.inputs.map(({ address }) => address),
    checkStateless({ inputs, outputs }) {
      const [input] = inputs;
      if (input === undefined || inputs.length !== 1) throw new ChainError(SDK.invalidRequest, "exactly one input");
      if (outputs.length === 0 || outputs.length > MAX_OUTPUTS) {
        throw new ChainError(SDK.invalidRequest, `between 1 and ${MAX_OUTPUTS} outputs`);
      }
      requireAddress(input.address);
      let sum = 0n;
      for (const { address, coins } of outputs) {
        requireAddress(address);
        sum += ukaratOf(coins);
      }
      if (sum !== ukaratOf(input.coins)) throw new ChainError(SDK.invalidCoins, "sum of inputs != sum of outputs");
    },
    execute(ctx, { inputs, outputs }) {
      for (const { address, coins } of outputs) {
        if (blocked.has(address)) {
          throw new ChainError(SDK.unauthorized, `${address} is not allowed to receive funds: unauthorized`);
        }
        bank.send(ctx, inputs[0]!.address, address, ukaratOf(coins));
      }
      return {};
    },
  };
}

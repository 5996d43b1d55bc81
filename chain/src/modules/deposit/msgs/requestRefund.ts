import { deposit } from "@karat/proto";
import { defineMessage, requireAddress, requireAmount } from "../../support/message.ts";
import { refundRequested } from "../events.ts";
import type { DepositDeps } from "../expects.ts";
import { type DepositKeeper, put } from "../keeper.ts";
import { requestRefund } from "../transition.ts";

export const MSG_REQUEST_REFUND = "/karat.deposit.v1.MsgRequestRefund";

export const requestRefundHandler = (keeper: DepositKeeper, { params }: DepositDeps) =>
  defineMessage<deposit.MsgRequestRefund>({
    codec: deposit.MsgRequestRefund,
    response: {
      typeUrl: `${MSG_REQUEST_REFUND}Response`,
      encode: (message) => deposit.MsgRequestRefundResponse.encode(message as deposit.MsgRequestRefundResponse),
    },
    signers: ({ client }) => [client],

    checkStateless(message) {
      requireAddress(message.client, "client");
      requireAmount(message.amount, "amount");
    },

    execute(ctx, { client, amount }) {
      const after = requestRefund(keeper.get(ctx, client), amount, ctx.height, params.get(ctx).refundLock);

      put(ctx, after);
      refundRequested(ctx, client, amount, after.refundHeight);
      return { refundHeight: after.refundHeight };
    },
  });

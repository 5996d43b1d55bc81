/** Events of the module: ids as lower-case hex, amounts in ukarat, participants as operator addresses. */
import { toHex } from "@karat/common";
import type { inference } from "@karat/proto";
import type { Context } from "../../app/module.ts";

type Inference = inference.Inference;

export function emitStart(ctx: Context, started: Inference): void {
  ctx.emit("inference_start", {
    inference_id: toHex(started.id),
    client: started.client,
    model: started.model,
    transfer_agent: started.transferAgent,
    executor: started.executor,
    attempt: String(started.attempt),
    locked: String(started.locked),
    deadline: String(started.deadlineHeight),
    ...(started.part && {
      order_id: toHex(started.part.orderId),
      prefix_tokens: String(started.part.prefixTokens),
    }),
  });
}

export function emitFinish(ctx: Context, finished: Inference): void {
  ctx.emit("inference_finish", {
    inference_id: toHex(finished.id),
    model: finished.model,
    transfer_agent: finished.transferAgent,
    executor: finished.executor,
    prompt_tokens: String(finished.promptTokens),
    completion_tokens: String(finished.completionTokens),
    cost: String(finished.cost),
  });
}

export function emitDelivery(ctx: Context, { id, transferAgent }: Inference, complete: boolean): void {
  ctx.emit("inference_delivery", {
    inference_id: toHex(id),
    transfer_agent: transferAgent,
    complete: String(complete),
  });
}

export function emitMissed(ctx: Context, missed: Inference, refund: bigint, reason: "deadline" | "error"): void {
  ctx.emit("inference_missed", { ...refundOf(missed, refund), reason });
}

export function emitInvalid(ctx: Context, invalid: Inference, refund: bigint): void {
  ctx.emit("inference_invalid", refundOf(invalid, refund));
}

export function emitInconclusive(ctx: Context, undecided: Inference, refund: bigint): void {
  ctx.emit("inference_inconclusive", refundOf(undecided, refund));
}

export function emitSettled(ctx: Context, settled: Inference): void {
  ctx.emit("inference_settled", {
    inference_id: toHex(settled.id),
    client: settled.client,
    executor: settled.executor,
    cost: String(settled.cost),
  });
}

function refundOf(ended: Inference, refund: bigint): Record<string, string> {
  return {
    inference_id: toHex(ended.id),
    client: ended.client,
    refund: String(refund),
    executor: ended.executor,
  };
}

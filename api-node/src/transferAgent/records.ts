import { signMessage } from "@karat/client";
import { fromBase64, fromHex, sha256, toBase64, toHex, utf8 } from "@karat/common";
import { inference, sign } from "@karat/proto";

import type { ChainView } from "../chain/view.ts";
import { finishRecord } from "../executor/finish.ts";
import type { NodeIdentity } from "../identity.ts";
import type { Payload } from "../payloads/payload.ts";
import type { NewRecord } from "../records/record.ts";
import type { VerifiedAnswer } from "./answer.ts";
import type { Begun } from "./dispatch.ts";
import type { Order } from "./orders.ts";

/** What the transfer agent records when an executor has begun. */
export function startRecord(view: ChainView, order: Order, begun: Begun): NewRecord {
  const { bytes, signature, inferenceId, message } = order.authorization;
  const full = message.recording === sign.RecordingMode.FULL;
  const record = inference.StartRecord.encode({
    authorization: bytes,
    signature,
    receipt: begun.receipt.receipt,
    receiptSignature: begun.receipt.signature,
    skips: begun.skips.map(({ attempt, reason, busySignature }) => {
      return { attempt, reason, busySignature: busySignature ?? new Uint8Array() };
    }),
    request: full ? utf8(order.request.canonical) : new Uint8Array(),
  }).finish();
  const deadlineHeight = message.anchorHeight + view.params().maxAnchorAge;
  return { kind: "start", inferenceId, record, deadlineHeight };
}

/** What it records when the answer, or the client, has gone. */
export function deliveryRecord(order: Order, begun: Begun, text: string, answer?: VerifiedAnswer): NewRecord {
  const { inferenceId } = order.authorization;
  const record = inference.DeliveryRecord.encode({
    inferenceId,
    outputHash: sha256(utf8(text)),
    complete: answer !== undefined,
    response: answer?.end.response ?? new Uint8Array(),
    responseSignature: answer?.end.response_signature ?? new Uint8Array(),
  }).finish();
  return { kind: "delivery", inferenceId, record, deadlineHeight: begun.promise.deadlineHeight };
}

/** The transfer agent keeps the payloads too: a validator has two places to ask. */
export function deliveryPayloads(order: Order, answer: VerifiedAnswer): Payload[] {
  const { end, response } = answer;
  const record = finishRecord(order.authorization.inferenceId, {
    finishReason: end.finish_reason,
    promptTokens: response.promptTokens,
    promptHash: fromHex(end.prompt_hash),
    tokenIds: end.token_ids,
    text: end.text,
    artifact: fromBase64(end.artifact),
    artifactRoot: response.artifactRoot,
  });
  return [
    { hash: order.request.hash, bytes: utf8(order.request.canonical) },
    { hash: response.artifactRoot, bytes: inference.FinishRecord.encode(record).finish() },
  ];
}

/** The field `karat` of an answer: the transfer agent's signed receipt, readable beside its bytes. */
export function deliveryReceipt(
  chainId: string,
  identity: NodeIdentity,
  order: Order,
  begun: Begun,
  answer: VerifiedAnswer,
): object {
  const { inferenceId, message } = order.authorization;
  const { promptTokens, completionTokens } = answer.response;
  const executor = begun.candidate.member.operator;
  const receipt = signMessage(
    "delivery",
    {
      chainId,
      inferenceId,
      transferAgent: identity.operator,
      executor,
      requestHash: message.requestHash,
      outputHash: answer.outputHash,
      promptTokens,
      completionTokens,
      cost: answer.cost,
      attempts: begun.attempt + 1,
    },
    identity.privateKey,
  );
  return {
    inference_id: toHex(inferenceId),
    transfer_agent: identity.operator,
    executor,
    request_hash: toHex(message.requestHash),
    output_hash: toHex(answer.outputHash),
    usage: { prompt_tokens: promptTokens, completion_tokens: completionTokens },
    cost: answer.cost.toString(),
    attempts: begun.attempt + 1,
    receipt: toBase64(receipt.bytes),
    signature: toBase64(receipt.signature),
  };
}

import { signMessage } from "@karat/client";
import { fromBase64, fromHex, sha256, toBase64, toHex, utf8 } from "@karat/common";
import { inference, sign } from "@karat/proto";

import type { ChainView } from "../chain/view.ts";
import { finishRecord } from "../executor/finish.ts";
import type { NodeIdentity } from "../identity.ts";
import type { Payload } from "../payloads/payload.ts";
import type { NewRecord } from "../records/record.ts";
import type { Answered, Begun } from "./dispatch.ts";
import type { Order } from "./orders.ts";

/** What the transfer agent records when an executor has begun. */
export function startRecord(view: ChainView, order: Order, begun: Begun): NewRecord {
  const { bytes, signature, message } = order.authorization;
  const { inferenceId } = begun;
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

/** What it records of one part when it is complete, or broke off, or the client has gone. */
export function deliveryRecord(begun: Begun, text: string, answer?: Answered): NewRecord {
  const { inferenceId } = begun;
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
export function deliveryPayloads(order: Order, answer: Answered): Payload[] {
  const { end, response, part } = answer;
  const record = finishRecord(part.inferenceId, {
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
  { part, whole }: Answered,
): object {
  const { inferenceId, message } = order.authorization;
  const { promptTokens, completionTokens, cost, parts } = whole;
  const outputHash = sha256(utf8(whole.text));
  const executor = part.candidate.member.operator;
  const attempts = part.attempt + 1;
  const receipt = signMessage(
    "delivery",
    {
      chainId,
      inferenceId,
      transferAgent: identity.operator,
      executor,
      requestHash: message.requestHash,
      outputHash,
      promptTokens,
      completionTokens,
      cost,
      attempts,
    },
    identity.privateKey,
  );
  return {
    inference_id: toHex(inferenceId),
    transfer_agent: identity.operator,
    executor,
    request_hash: toHex(message.requestHash),
    output_hash: toHex(outputHash),
    usage: { prompt_tokens: promptTokens, completion_tokens: completionTokens },
    cost: cost.toString(),
    attempts,
    // Several when executors broke off: each part has records of its own.
    ...(parts.length > 1 ? { parts: parts.map(partOf) } : {}),
    receipt: toBase64(receipt.bytes),
    signature: toBase64(receipt.signature),
  };
}

const partOf = ({ inferenceId, candidate, prefix }: Begun): object => ({
  inference_id: toHex(inferenceId),
  executor: candidate.member.operator,
  behind_tokens: prefix?.length ?? 0,
});

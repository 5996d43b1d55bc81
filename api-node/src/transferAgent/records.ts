import { prefixOf, signMessage } from "@karat/client";
import { fromBase64, fromHex, sha256, toBase64, toHex, utf8 } from "@karat/common";
import { inference, sign } from "@karat/proto";
import { tokensHash } from "@karat/rules";
import type { ChainView } from "../chain/view.ts";
import { finishPayloads, finishRecord } from "../executor/finish.ts";
import type { NodeIdentity } from "../identity.ts";
import type { Payload } from "../payloads/payload.ts";
import type { NewRecord } from "../records/record.ts";
import type { Answered, Begun } from "./dispatch.ts";
import type { Order } from "./orders.ts";

/**
 * The executor's promise, for the chain. The executor records the start itself; the transfer agent does where the chain does not show it
 * some blocks later, and at once where more than one executor was asked: its word says which of them it was.
 */
export function startRecord(view: ChainView, order: Order, begun: Begun): NewRecord {
  const { inferenceId, prefix } = begun;
  const { maxAnchorAge } = view.params();
  const deadlineHeight = prefix
    ? begun.promise.deadlineHeight
    : order.authorization.message.anchorHeight + maxAnchorAge;
  const start = { kind: "start" as const, inferenceId, record: encodedStart(order, begun), deadlineHeight };
  return begun.contested
    ? { ...start, decides: true }
    : { ...start, notBefore: view.height() + maxAnchorAge / 3n, awaits: "start" };
}

/** The encoded StartRecord. */
export function encodedStart(order: Order, { receipt, skips, prefix }: Begun): Uint8Array {
  const { bytes, signature, message } = order.authorization;
  const full = message.recording === sign.RecordingMode.FULL && !prefix;
  return inference.StartRecord.encode({
    authorization: bytes,
    signature: prefix ? NONE : signature,
    receipt: receipt.receipt,
    receiptSignature: receipt.signature,
    skips: skips.map(({ reason, busySignature }) => ({ reason, busySignature: busySignature ?? new Uint8Array() })),
    request: full ? utf8(order.request.canonical) : new Uint8Array(),
    prefix: prefix && prefixOf(prefix),
  }).finish();
}

/**
 * What it records of one part when it is complete, or broke off, or the client has gone: compared with the finish first, which the
 * executor records.
 */
export function deliveryRecord({ inferenceId, promise }: Begun, answer?: Answered): NewRecord {
  const record = inference.DeliveryRecord.encode({
    inferenceId,
    root: answer === undefined ? NONE : sha256(answer.end.response),
    complete: answer !== undefined,
    response: answer?.end.response ?? NONE,
    responseSignature: answer?.end.response_signature ?? NONE,
  }).finish();
  const deadlineHeight = promise.deadlineHeight + DELIVERY_BLOCKS;
  return { kind: "delivery", inferenceId, record, deadlineHeight, awaits: "finish" };
}

const NONE = new Uint8Array();
/** The chain waits at least so long with the payment of a finish for the word of its transfer agent. */
const DELIVERY_BLOCKS = 10n;

/** The transfer agent keeps the payloads too: a validator has two places to ask. */
export function deliveryPayloads(order: Order, { end, response, part }: Answered): Payload[] {
  const record = finishRecord(
    {
      inferenceId: part.inferenceId,
      executor: response.executor,
      receiptPromptTokens: part.promise.promptTokens,
      prefixTokenIds: part.prefix ?? [],
    },
    {
      finishReason: end.finish_reason,
      promptTokens: response.promptTokens,
      promptHash: fromHex(end.prompt_hash),
      tokenIds: end.token_ids,
      text: end.text,
      artifact: fromBase64(end.artifact),
      artifactRoot: response.artifactRoot,
    },
  );
  return finishPayloads(order.request, sha256(end.response), record);
}

/** The field `karat` of an answer: the transfer agent's signed receipt, readable beside its bytes. */
export function deliveryReceipt(
  chainId: string,
  identity: NodeIdentity,
  order: Order,
  { part, whole, end }: Answered,
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
      parts: parts.slice(1).map((each) => each.inferenceId),
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
    ...(parts.length > 1 ? { parts: parts.map((part) => partOf(part, whole.text)) } : {}),
    receipt: toBase64(receipt.bytes),
    signature: toBase64(receipt.signature),
    // The executor's own statement: its SHA-256 is the root that the chain has.
    response: toBase64(end.response),
    response_signature: toBase64(end.response_signature),
  };
}

/** What a part's id is made of, for the client to make it again, and where its text begins. */
const partOf = ({ inferenceId, candidate, attempt, prefix = [], behindText }: Begun, text: string): object => ({
  inference_id: toHex(inferenceId),
  executor: candidate.member.operator,
  attempt,
  behind_tokens: prefix.length,
  behind_bytes: Buffer.byteLength(text.slice(0, behindText)),
  prefix_hash: toHex(tokensHash(prefix)),
});

import { sha256, toHex, utf8 } from "@karat/common";
import { DOMAIN, sign } from "@karat/proto";
import { mismatch, type ReceivedPart } from "./delivery.ts";
import { verifyBytes } from "./signing.ts";

export interface ResponseCheck {
  /** Encoded ResponseReceipt and the executor's signature. */
  readonly response: Uint8Array;
  readonly signature: Uint8Array;
  /** The registered node key of the executor that the delivery names. */
  readonly nodeKey: Uint8Array;
  /** As `verifyDelivery` gave it for the same answer. */
  readonly delivery: sign.DeliveryReceipt;
  /** All of the answer's text as it was received. */
  readonly text: string;
  /** As for `verifyDelivery`. */
  readonly parts?: readonly ReceivedPart[];
}

/**
 * Compares the executor's signed response with the delivery: where others broke off, it is about the last part, which ends the answer.
 * Its SHA-256 is the root on chain. Throws KaratError `receipt_mismatch` naming the field in `data.field`, `response.` before it.
 */
export function verifyResponse({
  response: bytes,
  signature,
  nodeKey,
  delivery,
  text,
  parts = [],
}: ResponseCheck): sign.ResponseReceipt {
  if (!verifyBytes(bytes, signature, nodeKey)) throw mismatch("response.signature");
  const response = sign.ResponseReceipt.decode(bytes);
  const last = parts.at(-1);
  const before = last?.prefix.tokens ?? 0;
  const output = utf8(text).subarray(last?.behindBytes ?? 0);
  const { domain, chainId, inferenceId, executor, outputHash, promptTokens, completionTokens, finishReason } = response;
  const { STOP, LENGTH, STOP_SEQUENCE } = sign.FinishReason;
  const fits: Readonly<Record<string, boolean>> = {
    domain: domain === DOMAIN.response,
    chain_id: chainId === delivery.chainId,
    inference_id: toHex(inferenceId) === toHex(delivery.parts.at(-1) ?? delivery.inferenceId),
    executor: executor === delivery.executor,
    output_hash: toHex(outputHash) === toHex(sha256(output)),
    // Whoever goes on reads what is before it.
    prompt_tokens: promptTokens === delivery.promptTokens + before,
    completion_tokens: completionTokens === delivery.completionTokens - before,
    // Only an answer that was not broken off is delivered.
    finish_reason: finishReason === STOP || finishReason === LENGTH || finishReason === STOP_SEQUENCE,
  };
  for (const [field, fitting] of Object.entries(fits)) if (!fitting) throw mismatch(`response.${field}`);
  return response;
}

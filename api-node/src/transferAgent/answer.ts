import { verifyBytes } from "@karat/client";
import { sha256, utf8 } from "@karat/common";
import { DOMAIN, sign } from "@karat/proto";
import { compareBytes, cost } from "@karat/rules";
import type { Candidate } from "../chain/candidates.ts";
import type { EndLine, TokenLine } from "../executor/protocol.ts";
import type { Order } from "./orders.ts";

/** An answer whose every claim fits what was received. */
export interface VerifiedAnswer {
  readonly end: EndLine;
  readonly response: sign.ResponseReceipt;
  /** SHA-256 of the text that was received. */
  readonly outputHash: Uint8Array;
  /** ukarat. */
  readonly cost: bigint;
}

export interface ReceivedAnswer {
  readonly chainId: string;
  readonly order: Order;
  readonly candidate: Candidate;
  readonly promise: sign.Receipt;
  readonly text: string;
  readonly tokens: readonly TokenLine[];
  readonly end: EndLine;
}

/**
 * Compares the executor's signed response with the tokens as they came. Undefined when the signature, the hash of the text or a
 * count does not fit: then the executor has failed, whatever it sent.
 */
export function verifyAnswer(received: ReceivedAnswer): VerifiedAnswer | undefined {
  const { chainId, order, candidate, promise, text, tokens, end } = received;
  if (!verifyBytes(end.response, end.response_signature, candidate.member.nodeKey)) return undefined;
  const response = sign.ResponseReceipt.decode(end.response);
  const outputHash = sha256(utf8(text));
  const { maxOutputTokens } = order.authorization.message;
  const fits =
    response.domain === DOMAIN.response &&
    response.chainId === chainId &&
    response.executor === candidate.member.operator &&
    compareBytes(response.inferenceId, order.authorization.inferenceId) === 0 &&
    compareBytes(response.outputHash, outputHash) === 0 &&
    response.promptTokens === promise.promptTokens &&
    response.completionTokens === tokens.length &&
    response.completionTokens === end.token_ids.length &&
    response.completionTokens <= maxOutputTokens &&
    tokens.every(({ id }, i) => id === end.token_ids[i]) &&
    end.text === text;
  if (!fits) return undefined;
  const { inputPrice, outputPrice } = candidate.offer;
  const used = { promptTokens: BigInt(response.promptTokens), completionTokens: BigInt(response.completionTokens) };
  return { end, response, outputHash, cost: cost(used, { input: inputPrice, output: outputPrice }) };
}

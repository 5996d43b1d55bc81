import { verifyBytes } from "@karat/client";
import { sha256, toHex, utf8 } from "@karat/common";
import { DOMAIN, sign } from "@karat/proto";
import { compareBytes, maxPartCost, type PartStart } from "@karat/rules";
import type { Candidate } from "../chain/candidates.ts";
import { FINISH_REASONS } from "../executor/finish.ts";
import type { EndLine, TokenLine } from "../executor/protocol.ts";
import type { Order } from "./orders.ts";

/** An answer whose every claim fits what was received. */
export interface VerifiedAnswer {
  readonly end: EndLine;
  readonly own: boolean;
  readonly response: sign.ResponseReceipt;
  /** SHA-256 of the text that was received. */
  readonly outputHash: Uint8Array;
  /** ukarat. */
  readonly cost: bigint;
}

export interface ReceivedAnswer {
  readonly chainId: string;
  readonly order: Order;
  /** Names what this executor gave. */
  readonly inferenceId: Uint8Array;
  /** Where in the answer it begins. */
  readonly begin: PartStart;
  readonly candidate: Candidate;
  /** The executor runs in this process: it has just signed. */
  readonly own: boolean;
  readonly promise: sign.Receipt;
  readonly text: string;
  readonly tokens: readonly TokenLine[];
  readonly end: EndLine;
}

/**
 * Compares the executor's signed response with the tokens as they came. Undefined when the signature, the hash of the text, a count
 * or the reason of its end does not fit: then the executor has failed, whatever it sent.
 */
export function verifyAnswer(received: ReceivedAnswer): VerifiedAnswer | undefined {
  const { chainId, order, inferenceId, begin, candidate, own, promise, text, tokens, end } = received;
  if (!own && !verifyBytes(end.response, end.response_signature, candidate.member.nodeKey)) return undefined;
  const response = sign.ResponseReceipt.decode(end.response);
  const outputHash = sha256(utf8(text));
  const { maxOutputTokens } = order.authorization.message;
  const fits =
    response.domain === DOMAIN.response &&
    response.chainId === chainId &&
    response.executor === candidate.member.operator &&
    compareBytes(response.inferenceId, inferenceId) === 0 &&
    compareBytes(response.outputHash, outputHash) === 0 &&
    toHex(response.promptHash) === end.prompt_hash &&
    response.promptTokens === promise.promptTokens &&
    response.completionTokens === tokens.length &&
    response.completionTokens === end.token_ids.length &&
    response.finishReason === FINISH_REASONS[end.finish_reason] &&
    begin.prefixTokens + response.completionTokens <= maxOutputTokens &&
    tokens.every(({ id }, i) => id === end.token_ids[i]) &&
    end.text === text;
  if (!fits) return undefined;
  return { end, own, response, outputHash, cost: partCost(received, response.completionTokens) };
}

/** What an executor is paid for so many tokens behind its prompt, ukarat; where those before it are missed, it may be more. */
export function partCost(
  { order, begin, candidate: { offer }, promise }: Pick<ReceivedAnswer, "order" | "begin" | "candidate" | "promise">,
  completionTokens: number,
): bigint {
  const bounds = order.authorization.message;
  const price = { input: offer.inputPrice, output: offer.outputPrice };
  const unwritten = bounds.maxOutputTokens - begin.prefixTokens - completionTokens;
  return maxPartCost(bounds, promise.promptTokens, price, begin) - BigInt(unwritten) * price.output;
}

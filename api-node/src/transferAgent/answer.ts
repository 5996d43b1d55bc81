import { verifyBytes } from "@karat/client";
import { fromBase64, sha256, toHex, utf8 } from "@karat/common";
import { DOMAIN, sign } from "@karat/proto";
import { compareBytes, decodeVectors, isRuleError, maxPartCost, type PartStart, vectorsRoot } from "@karat/rules";
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
  /** Of an embedding: one for each input. */
  readonly vectors?: readonly Float32Array[];
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
 * Compares the executor's signed response with the tokens as they came, or with the vectors. Undefined when the signature, the hash of the text,
 * a count, the reason of its end or the root of the vectors does not fit: then the executor has failed, whatever it sent.
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
    response.completionTokens === end.token_ids.length &&
    response.finishReason === FINISH_REASONS[end.finish_reason] &&
    begin.prefixTokens + response.completionTokens <= maxOutputTokens &&
    end.text === text;
  if (!fits) return undefined;
  const answer = { end, own, response, outputHash, cost: partCost(received, response.completionTokens) };
  if (order.dimensions === undefined) {
    const same = tokens.length === end.token_ids.length && tokens.every(({ id }, i) => id === end.token_ids[i]);
    return same ? answer : undefined;
  }
  const vectors = signedVectors(received, response, order.dimensions);
  return vectors && { ...answer, vectors };
}

/** One for each input, when they are those whose root the executor has signed. */
function signedVectors(
  { order, inferenceId, end }: ReceivedAnswer,
  { promptHash, artifactRoot, completionTokens, finishReason }: sign.ResponseReceipt,
  dimensions: number,
): Float32Array[] | undefined {
  const count = order.authorization.message.maxOutputTokens;
  if (completionTokens !== count || finishReason !== sign.FinishReason.LENGTH) return undefined;
  const artifact = fromBase64(end.artifact);
  const root = vectorsRoot({ inferenceId, promptHash, dimensions, artifact });
  if (compareBytes(root, artifactRoot) !== 0) return undefined;
  try {
    return decodeVectors(artifact, { count, dimensions });
  } catch (error) {
    if (isRuleError(error)) return undefined;
    throw error;
  }
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

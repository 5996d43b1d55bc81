import { type ContinuedPart, continuationId, openAuthorization, verifyBytes } from "@karat/client";
import { isKaratError, KaratError, messageOf, verifySignature } from "@karat/common";
import { inference, sign } from "@karat/proto";
import {
  canonicalJson,
  compareBytes,
  cost,
  EMBEDDING_LIMITS,
  hashOfCanonical,
  isRuleError,
  type SamplingParams,
  type SanitizedRequest,
  samplingOf,
  sanitizeRequest,
} from "@karat/rules";
import { type Candidate, drawExecutors } from "../chain/candidates.ts";
import type { ChainView } from "../chain/view.ts";
import { embeddingDimensions } from "./embedding.ts";
import type { ErrorObject, ExecuteRequest, OpenedRequest } from "./protocol.ts";

/** How long an executor waits for a beacon that its transfer agent has already seen. */
const BEACON_WAIT_MS = 2_000;

export interface CheckedRequest {
  readonly authorization: sign.RequestAuthorization;
  /** SHA-256 of the authorization: names the order, its draw and its sampling seed. */
  readonly orderId: Uint8Array;
  /** Names what this executor gives: the order's id, or that of a continued part. */
  readonly inferenceId: Uint8Array;
  /** Ids of the tokens that the client has already. */
  readonly prefix: readonly number[];
  readonly sanitized: SanitizedRequest;
  /** Of an embedding: components of each vector. */
  readonly dimensions: number | undefined;
  /** Beacon of the anchor height. */
  readonly beacon: Uint8Array;
  readonly self: Candidate;
}

/**
 * Everything an executor checks before it works, cheapest first: the authorization, that the request is the authorized one, and that this node
 * is the one drawn for the attempt. Throws KaratError; the deposit, duplicates and capacity are the caller's.
 */
export async function checkRequest(
  view: ChainView,
  operator: string,
  sender: string,
  request: ExecuteRequest,
): Promise<CheckedRequest> {
  const { authorization, orderId, sanitized } = request.opened ?? openRequest(view, sender, request);
  const dimensions = sanitized.input && dimensionsFor(view, authorization, sanitized.input, request.prefix);

  const { anchorHeight } = authorization;
  const beacon = await view.awaitBeacon(anchorHeight, BEACON_WAIT_MS);
  // The start has to be on chain before the anchor is too old; half of the age leaves it time. An answer that is continued began in time,
  // and may go on for as long as its first executor might have.
  const { maxAnchorAge, inferenceDeadline } = view.params();
  const tooOld = view.height() - anchorHeight > (request.prefix ? inferenceDeadline : maxAnchorAge / 2n);
  if (!beacon || tooOld) {
    throw new KaratError("stale_anchor", "The anchor height is not recent.", { anchor_height: anchorHeight });
  }

  const order = drawExecutors(view, authorization, beacon, orderId, request.attempt + 1);
  const self = order[request.attempt];
  if (self?.member.operator !== operator) {
    throw new KaratError("not_drawn", "This node is not the one drawn for the attempt.", { attempt: request.attempt });
  }
  const skipped = new Set(request.skips.map(({ attempt }) => attempt));
  if (request.skips.length !== request.attempt || skipped.size !== request.attempt) throw refuse("skips");
  if (request.skips.some(({ attempt }) => attempt >= request.attempt)) throw refuse("skips");
  const { attempt, prefix } = request;
  if (prefix && prefix.length >= authorization.maxOutputTokens) throw refuse("prefix");
  const inferenceId = partId({ chainId: view.chainId, orderId, attempt, prefix });
  if (prefix && !isSaidBy(view, sender, inferenceId, request.prefixSignature)) throw refuse("prefix_signature");
  if (prefix && !isOrderStart(view, orderId, request)) throw refuse("order_start");
  return { authorization, orderId, inferenceId, prefix: prefix ?? [], sanitized, dimensions, beacon, self };
}

/** An embedding has one output token for each input, all of them in one piece. */
function dimensionsFor(
  view: ChainView,
  { model, maxInputTokens, maxOutputTokens }: sign.RequestAuthorization,
  input: readonly string[],
  prefix: readonly number[] | undefined,
): number {
  if (prefix) throw new KaratError("invalid_request", "prefix: an embedding is not continued", { param: "prefix" });
  if (maxOutputTokens !== input.length) throw refuse("max_output_tokens");
  if (maxInputTokens > EMBEDDING_LIMITS.tokens) throw refuse("max_input_tokens");
  const declared = view.models().find(({ id }) => id === model);
  return embeddingDimensions(declared, model, input.length);
}

/** Throws KaratError unless the client authorized this request, for this transfer agent. */
function openRequest(view: ChainView, sender: string, request: ExecuteRequest): OpenedRequest {
  const { message: authorization, inferenceId: orderId } = openAuthorization(request.authorization, request.signature);
  if (authorization.chainId !== view.chainId) throw refuse("chain_id");
  if (authorization.transferAgent !== sender) throw refuse("transfer_agent");
  return { authorization, orderId, sanitized: authorizedRequest(authorization, request.request) };
}

/** The id under which a part of an order is recorded: the order's own for an answer from its beginning. */
export function partId(
  part: Omit<ContinuedPart, "prefix"> & { readonly prefix: readonly number[] | undefined },
): Uint8Array {
  const { prefix } = part;
  return prefix ? continuationId({ ...part, prefix }) : part.orderId;
}

/** Only with the transfer agent's word for it can the start of a part be recorded. */
function isSaidBy(view: ChainView, sender: string, id: Uint8Array, signature: Uint8Array | undefined): boolean {
  const key = view.participant(sender)?.nodeKey;
  return key !== undefined && signature !== undefined && verifySignature(id, signature, key);
}

/** Without the start of its order the chain takes no part: with the first executor's receipt, anybody who goes on can record it. */
function isOrderStart(view: ChainView, orderId: Uint8Array, { authorization, orderStart }: ExecuteRequest): boolean {
  if (orderStart === undefined) return false;
  try {
    const start = inference.StartRecord.decode(orderStart);
    const { inferenceId, executor } = sign.Receipt.decode(start.receipt);
    const key = view.participant(executor)?.nodeKey;
    return (
      start.prefix === undefined &&
      compareBytes(start.authorization, authorization) === 0 &&
      compareBytes(inferenceId, orderId) === 0 &&
      key !== undefined &&
      verifyBytes(start.receipt, start.receiptSignature, key)
    );
  } catch {
    return false; // not decodable
  }
}

/** The request as an object, when its text is canonical and exactly what the client authorized. */
function authorizedRequest(authorization: sign.RequestAuthorization, text: string): SanitizedRequest {
  let sanitized: SanitizedRequest;
  try {
    sanitized = sanitizeRequest(JSON.parse(text));
    if (canonicalJson(sanitized) !== text) throw refuse("request");
  } catch (error) {
    if (isKaratError(error) || isRuleError(error)) throw error;
    throw refuse("request");
  }
  if (compareBytes(hashOfCanonical(text), authorization.requestHash) !== 0) throw refuse("request_hash");
  if (sanitized.model !== authorization.model) throw refuse("model");
  const authorized = authorization.sampling;
  const asked = samplingOf(sanitized);
  const same = (name: keyof SamplingParams): boolean => authorized?.[name] === asked[name];
  if (!(Object.keys(asked) as (keyof SamplingParams)[]).every(same)) throw refuse("sampling");
  if (sanitized.max_tokens !== undefined && authorization.maxOutputTokens > sanitized.max_tokens) {
    throw refuse("max_output_tokens");
  }
  return sanitized;
}

/** The most an inference can cost at an offer, ukarat. */
export const lockedCost = (offer: Candidate["offer"], promptTokens: number, maxOutputTokens: number): bigint =>
  cost(
    { promptTokens: BigInt(promptTokens), completionTokens: BigInt(maxOutputTokens) },
    { input: offer.inputPrice, output: offer.outputPrice },
  );

/** What a peer is told of an error: its code and sentence when it is one of ours, nothing otherwise. */
export function errorObject(error: unknown): ErrorObject {
  if (isKaratError(error) || isRuleError(error)) return { code: error.code, message: error.message };
  return { code: "internal_error", message: "The executor had an error." };
}

export const describeError = (error: unknown): string => (isKaratError(error) ? error.code : messageOf(error));

const refuse = (reason: string): KaratError =>
  new KaratError("invalid_authorization", `The request is not the authorized one: ${reason}.`, { reason });

/** What parties sign: put together from records, or decoded strictly; and whether the signature is theirs. */
import { addressOfKey, sha256 } from "@karat/common";
import {
  DOMAIN,
  encodeSigned,
  type inference,
  openAuthorizationOf,
  type SignedMessage,
  type StartNames,
  sign,
} from "@karat/proto";
import { DEFAULT_SAMPLING, isRuleError, type SamplingParams, validateSampling } from "@karat/rules";
import { ChainError, type ErrorKind } from "../../app/errors.ts";
import { GAS } from "../../app/gas.ts";
import type { Context } from "../../app/module.ts";
import { verifyOnce } from "../../app/signatures/verified.ts";
import type { BatchReads } from "./batchReads.ts";
import { ERRORS } from "./errors.ts";
import { sameBytes } from "./transition.ts";

/** Longest encoding of anything signed; names and models are short. */
const MAX_SIGNED_BYTES = 2048;
const MAX_NONCE_BYTES = 32;
const NO_TERMS = "names terms that the batch does not have";

interface Order {
  /** SHA-256 of the authorization's canonical bytes. */
  readonly id: Uint8Array;
  readonly authorization: SignedMessage["authorization"];
}

export interface Opened extends Order {
  /** Undefined: the defaults. */
  readonly sampling: sign.Sampling | undefined;
  /** The client's account does not have the key yet. */
  readonly newKey: boolean;
}

/**
 * The authorization that an entry stands for. It is canonical by construction; where any value is not what the client
 * signed, the signature does not fit. Throws `malformedAuthorization`, `unknownClient`, `unauthorizedKey`,
 * `unknownTransferAgent`, `unknownModel`.
 */
export function openStart(
  ctx: Context,
  reads: BatchReads,
  sender: string,
  { baseHeight, terms }: Pick<inference.MsgRecords, "baseHeight" | "terms">,
  entry: inference.StartEntry,
): Opened {
  const term = terms[entry.terms];
  if (term === undefined) throw new ChainError(ERRORS.malformedAuthorization, NO_TERMS);
  const requestHash = entry.request.length > 0 ? sha256(entry.request) : entry.requestHash;
  const problem =
    requestHash.length !== 32
      ? "request_hash is 32 bytes"
      : entry.request.length > 0 && entry.requestHash.length > 0
        ? "request_hash is left out beside the request"
        : entry.nonce.length === 0 || entry.nonce.length > MAX_NONCE_BYTES
          ? `nonce is 1 to ${MAX_NONCE_BYTES} bytes`
          : term.maxOutputTokens === 0
            ? "max_output_tokens is zero"
            : BigInt(entry.anchorAge) > baseHeight
              ? "the anchor lies before the first block"
              : (partProblem(entry) ?? samplingProblem(term.sampling));
  if (problem !== undefined) throw new ChainError(ERRORS.malformedAuthorization, problem);
  const account = reads.account(entry.client);
  if (account === undefined) throw new ChainError(ERRORS.unknownClient, `account ${entry.client}`);
  const key = entry.key.length > 0 ? entry.key : account.publicKey;
  if (key === undefined) throw new ChainError(ERRORS.unauthorizedKey, "the account's key is not known: send it along");
  if (entry.key.length > 0 && !authorizedKey(account.address, key)) {
    throw new ChainError(ERRORS.unauthorizedKey, `not a key of ${account.address}`);
  }
  const transferAgent = entry.transferAgent === 0 ? sender : reads.operator(entry.transferAgent);
  if (transferAgent === undefined) throw new ChainError(ERRORS.unknownTransferAgent, String(entry.transferAgent));
  const model = reads.model(term.model);
  if (model === undefined) throw new ChainError(ERRORS.unknownModel, String(term.model));
  const names = { chainId: ctx.chainId, client: account.address, key, model, transferAgent, requestHash };
  const newKey = account.publicKey === undefined && addressOfKey(key) === account.address;
  return { ...orderOf(entry, term, baseHeight, names), sampling: term.sampling, newKey };
}

/** Entries and what they were put together to, from what: a transaction comes with CheckTx and with each phase of its block. */
const known = new WeakMap<
  inference.StartEntry,
  { readonly term: inference.Terms; readonly baseHeight: bigint; readonly names: StartNames; readonly order: Order }
>();

function orderOf(entry: inference.StartEntry, term: inference.Terms, baseHeight: bigint, names: StartNames): Order {
  const before = known.get(entry);
  if (before?.term === term && before.baseHeight === baseHeight && sameNames(before.names, names)) return before.order;
  const authorization = openAuthorizationOf(entry, term, baseHeight, names, DEFAULT_SAMPLING);
  const order = { id: sha256(encodeSigned("authorization", authorization)), authorization };
  known.set(entry, { term, baseHeight, names, order });
  return order;
}

const sameNames = (a: StartNames, b: StartNames): boolean =>
  a.chainId === b.chainId &&
  a.client === b.client &&
  sameBytes(a.key, b.key) &&
  a.model === b.model &&
  a.transferAgent === b.transferAgent &&
  sameBytes(a.requestHash, b.requestHash);

/** Throws `malformedResponse` or `wrongDomain`. */
export function decodeResponse(ctx: Context, bytes: Uint8Array): sign.ResponseReceipt {
  const response = decodeCanonical(sign.ResponseReceipt, bytes, ERRORS.malformedResponse);
  if (response.domain !== DOMAIN.response || response.chainId !== ctx.chainId) {
    throw new ChainError(ERRORS.wrongDomain, `signed as ${response.domain} for ${response.chainId}`);
  }
  const { outputHash, artifactRoot, promptHash } = response;
  if (outputHash.length !== 32 || artifactRoot.length !== 32 || promptHash.length !== 32) {
    throw new ChainError(ERRORS.malformedResponse, "output_hash, artifact_root and prompt_hash are 32 bytes");
  }
  return response;
}

/** True where the key may sign orders that the client's deposit pays. */
export function authorizedKey(client: string, key: Uint8Array): boolean {
  return key.length === 33 && addressOfKey(key) === client;
}

/** True iff `signature` (64 bytes, low S) over the SHA-256 of `bytes` is by `key`; an unknown key has signed nothing. */
export function isSignedBy(
  ctx: Context,
  bytes: Uint8Array,
  signature: Uint8Array,
  key: Uint8Array | undefined,
): boolean {
  return isDigestSignedBy(ctx, sha256(bytes), signature, key);
}

export function isDigestSignedBy(
  ctx: Context,
  digest: Uint8Array,
  signature: Uint8Array,
  key: Uint8Array | undefined,
): boolean {
  if (key === undefined) return false;
  ctx.gas.consume(GAS.signature, "signature of a record");
  return verifyOnce(digest, signature, key);
}

/** The message, if `bytes` are exactly its canonical encoding: no unknown field, no other order, no default written out. */
function decodeCanonical<T>(
  type: { decode(bytes: Uint8Array): T; encode(message: T): { finish(): Uint8Array } },
  bytes: Uint8Array,
  kind: ErrorKind,
): T {
  if (bytes.length > MAX_SIGNED_BYTES) throw new ChainError(kind, `more than ${MAX_SIGNED_BYTES} bytes`);
  let message: T;
  let again: Uint8Array;
  try {
    message = type.decode(bytes);
    again = type.encode(message).finish();
  } catch {
    throw new ChainError(kind, "undecodable");
  }
  if (!sameBytes(again, bytes)) throw new ChainError(kind, "not the canonical encoding");
  return message;
}

/** What rode with the order does not ride again, and only a part can name a recording mode. */
function partProblem({ prefix, full, request }: inference.StartEntry): string | undefined {
  if (prefix === undefined) return full ? "the recording mode is that of the request that rides along" : undefined;
  return request.length > 0 ? "the request rode with the order" : undefined;
}

function samplingProblem(sampling: SamplingParams | undefined): string | undefined {
  if (sampling === undefined) return undefined;
  try {
    validateSampling(sampling);
    return undefined;
  } catch (error) {
    if (!isRuleError(error)) throw error;
    return error.message;
  }
}

/** What parties sign: strict decoding, and whether the signature is theirs. */
import { addressBytes, addressOfKey, sha256 } from "@karat/common";
import { DOMAIN, sign } from "@karat/proto";
import { isRuleError, type SamplingParams, validateSampling } from "@karat/rules";
import { ChainError, type ErrorKind } from "../../app/errors.ts";
import { GAS } from "../../app/gas.ts";
import type { Context } from "../../app/module.ts";
import { verifyOnce } from "../../app/signatures/verified.ts";
import { ERRORS } from "./errors.ts";
import { sameBytes } from "./transition.ts";

/** Longest encoding of anything signed; names and models are short. */
const MAX_SIGNED_BYTES = 2048;
const MAX_NONCE_BYTES = 32;
/** What may stand in a key of the store. */
const MODEL_NAME = /^[\x21-\x7e]{1,128}$/;

/** Canonical, for this chain and purpose, every field in range. Throws `malformedAuthorization` or `wrongDomain`. */
export function decodeAuthorization(ctx: Context, bytes: Uint8Array): sign.RequestAuthorization {
  const authorization = decodeCanonical(sign.RequestAuthorization, bytes, ERRORS.malformedAuthorization);
  checkPurpose(ctx, authorization, DOMAIN.authorization);
  const { requestHash, nonce, sampling, recording, model } = authorization;
  const problem =
    requestHash.length !== 32
      ? "request_hash is 32 bytes"
      : !MODEL_NAME.test(model)
        ? "model is 1 to 128 printable characters"
        : addressBytes(authorization.transferAgent) === undefined
          ? "transfer_agent is not an address"
          : nonce.length === 0 || nonce.length > MAX_NONCE_BYTES
            ? `nonce is 1 to ${MAX_NONCE_BYTES} bytes`
            : authorization.maxOutputTokens === 0
              ? "max_output_tokens is zero"
              : recording !== sign.RecordingMode.FULL && recording !== sign.RecordingMode.COMMIT
                ? "recording is full or commit"
                : samplingProblem(sampling);
  if (problem !== undefined) throw new ChainError(ERRORS.malformedAuthorization, problem);
  return authorization;
}

/** Throws `malformedReceipt` or `wrongDomain`. */
export function decodeReceipt(ctx: Context, bytes: Uint8Array): sign.Receipt {
  const receipt = decodeCanonical(sign.Receipt, bytes, ERRORS.malformedReceipt);
  checkPurpose(ctx, receipt, DOMAIN.receipt);
  return receipt;
}

/** Throws `malformedResponse` or `wrongDomain`. */
export function decodeResponse(ctx: Context, bytes: Uint8Array): sign.ResponseReceipt {
  const response = decodeCanonical(sign.ResponseReceipt, bytes, ERRORS.malformedResponse);
  checkPurpose(ctx, response, DOMAIN.response);
  if (response.outputHash.length !== 32 || response.artifactRoot.length !== 32) {
    throw new ChainError(ERRORS.malformedResponse, "output_hash and artifact_root are 32 bytes");
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
  if (key === undefined) return false;
  ctx.gas.consume(GAS.signature, "signature of a record");
  return verifyOnce(sha256(bytes), signature, key);
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

function checkPurpose(ctx: Context, signed: { domain: string; chainId: string }, domain: string): void {
  if (signed.domain !== domain || signed.chainId !== ctx.chainId) {
    throw new ChainError(ERRORS.wrongDomain, `signed as ${signed.domain} for ${signed.chainId}`);
  }
}

function samplingProblem(sampling: SamplingParams | undefined): string | undefined {
  if (sampling === undefined) return "sampling is missing";
  try {
    validateSampling(sampling);
    return undefined;
  } catch (error) {
    if (!isRuleError(error)) throw error;
    return error.message;
  }
}

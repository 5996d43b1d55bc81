/** What can be said about a participant's fields without state, and whether its offers name known models. */
import { isPublicKey } from "@karat/common";
import { encodeSigned, type participant } from "@karat/proto";
import { ed25519 } from "@noble/curves/ed25519.js";
import { ChainError, SDK } from "../../app/errors.ts";
import type { Context } from "../../app/module.ts";
import { PARTICIPANT_ERRORS } from "./errors.ts";
import type { Params } from "./expects.ts";

/** Some two milliseconds. */
const PROOF_GAS = 80_000n;
export const MAX_OFFERS = 32;
/** ukarat per token: times 2^32 tokens it stays well within 64 bits. */
export const MAX_PRICE = 1_000_000_000n;
export const MAX_CAPACITY = 1n << 40n;
/** Scheme, host, and a path without query: printable ASCII, at most 200 characters. */
const URL_FORM = /^https?:\/\/[A-Za-z0-9.:_[\]-]{1,120}(\/[A-Za-z0-9._~%/-]{0,72})?$/;

export function checkNodeKey(key: Uint8Array): void {
  if (!isPublicKey(key)) throw new ChainError(SDK.invalidPubKey, "node_key is no compressed secp256k1 key");
}

/** Empty for a participant that takes no part in consensus. */
export function checkConsensusKey(key: Uint8Array): void {
  if (key.length !== 0 && key.length !== 32) {
    throw new ChainError(SDK.invalidPubKey, "consensus_key has neither 0 nor 32 bytes (ed25519)");
  }
}

/**
 * Throws `bad proof` unless the consensus key has signed that this operator of this chain registers it. RFC 8032 without ZIP-215's
 * leniency, by one library on every node: whoever has the key can sign strictly.
 */
export function checkConsensusProof(
  ctx: Context,
  { operator, consensusKey, consensusProof }: participant.MsgRegisterParticipant,
): void {
  if (consensusKey.length === 0 && consensusProof.length === 0) return;
  ctx.gas.consume(PROOF_GAS, "proof of a consensus key");
  const message = encodeSigned("consensusKey", { chainId: ctx.chainId, operator, consensusKey });
  if (!isSigned(consensusKey, message, consensusProof)) {
    throw new ChainError(
      PARTICIPANT_ERRORS.badProof,
      `consensus_proof is no signature of consensus_key for ${operator} on ${ctx.chainId}: make one with prove-consensus-key`,
    );
  }
}

function isSigned(key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (key.length !== 32 || signature.length !== 64) return false;
  try {
    return ed25519.verify(signature, message, key, { zip215: false });
  } catch {
    return false; // no point
  }
}

export function checkUrl(url: string): void {
  if (!URL_FORM.test(url)) throw new ChainError(PARTICIPANT_ERRORS.invalidUrl, "url is no plain http(s) address");
}

export function checkOffers(offers: readonly participant.Offer[]): void {
  const refuse = (why: string): never => {
    throw new ChainError(PARTICIPANT_ERRORS.invalidOffer, why);
  };
  if (offers.length > MAX_OFFERS) refuse(`more than ${MAX_OFFERS} offers`);
  const seen = new Set<string>();
  for (const { model, inputPrice, outputPrice, capacity } of offers) {
    if (model.length === 0 || model.length > 128) refuse("an offer needs a model of 1 to 128 characters");
    if (seen.has(model)) refuse(`two offers for ${model}`);
    if (inputPrice > MAX_PRICE || outputPrice > MAX_PRICE) refuse(`a price for ${model} exceeds ${MAX_PRICE}`);
    if (capacity === 0n || capacity > MAX_CAPACITY) refuse(`the capacity for ${model} is not in 1..${MAX_CAPACITY}`);
    seen.add(model);
  }
}

/** Throws `unknown model`. */
export function checkModels(params: Params, ctx: Context, offers: readonly participant.Offer[]): void {
  for (const { model } of offers) {
    if (params.model(ctx, model) === undefined) {
      throw new ChainError(PARTICIPANT_ERRORS.unknownModel, `the chain lists no model ${model}`);
    }
  }
}

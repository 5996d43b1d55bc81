import { createPrivateKey, createPublicKey, type KeyObject, randomBytes, sign, verify } from "node:crypto";
import { KaratError, toBase64 } from "@karat/common";
import { sha256 } from "./merkle.ts";

const PKCS8_ED25519 = Buffer.from("302e020100300506032b657004220420", "hex");
const SPKI_ED25519 = Buffer.from("302a300506032b6570032100", "hex");

/** An Ed25519 key that signs blocks (validator) or connections (node). */
export interface Ed25519Key {
  /** The 32-byte seed of RFC 8032. */
  readonly seed: Uint8Array;
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  /** The first 20 bytes of SHA-256 of the public key. */
  readonly address: Uint8Array;
  sign(message: Uint8Array): Uint8Array;
}

/** A key from its 32-byte seed; throws `engine/bad-key` for any other length. */
export function ed25519Key(seed: Uint8Array): Ed25519Key {
  if (seed.length !== 32)
    throw new KaratError("engine/bad-key", "an Ed25519 seed has 32 bytes", { length: seed.length });
  const secret = createPrivateKey({ key: Buffer.concat([PKCS8_ED25519, seed]), format: "der", type: "pkcs8" });
  const der = createPublicKey(secret as unknown as KeyObject).export({ format: "der", type: "spki" });
  const publicKey = new Uint8Array(der.subarray(-32));
  return {
    seed,
    publicKey,
    address: ed25519Address(publicKey),
    sign: (message) => new Uint8Array(sign(null, message, secret)),
  };
}

export const randomEd25519Key = (): Ed25519Key => ed25519Key(new Uint8Array(randomBytes(32)));

export const ed25519Address = (publicKey: Uint8Array): Uint8Array => sha256(publicKey).slice(0, 20);

/** Checks a signature by the rules of node:crypto, which are stricter than CometBFT's ZIP-215: for tools and tests only. */
export function verifyEd25519(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  const key = createPublicKey({ key: Buffer.concat([SPKI_ED25519, publicKey]), format: "der", type: "spki" });
  return verify(null, message, key, signature);
}

/** The `{type, value}` form CometBFT's JSON gives an Ed25519 public key. */
export const publicKeyJson = (publicKey: Uint8Array) => ({
  type: "tendermint/PubKeyEd25519",
  value: toBase64(publicKey),
});

/** The `{type, value}` form of the private key: seed and public key together, 64 bytes. */
export const privateKeyJson = (key: Ed25519Key) => ({
  type: "tendermint/PrivKeyEd25519",
  value: toBase64(Buffer.concat([key.seed, key.publicKey])),
});

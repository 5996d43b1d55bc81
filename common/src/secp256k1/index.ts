/** secp256k1 by libsecp256k1. Signatures are 64 bytes r‖s with low s; keys are 33-byte compressed points. */
import { createECDH, hash, randomBytes } from "node:crypto";
import type { Secp256k1 } from "./implementation.ts";
import { selectSecp256k1 } from "./select.ts";

const library = await selectSecp256k1();

/** Which build of libsecp256k1 this process has. */
export const secp256k1Build: Secp256k1["name"] = library.name;

/** True iff `signature` (64 bytes, low S) over the 32-byte `digest` is by `publicKey`. Malformed input is false. */
export function verifySignature(digest: Uint8Array, signature: Uint8Array, publicKey: Uint8Array): boolean {
  return verifyWith(library, digest, signature, publicKey);
}

/** The same by a given build. */
export function verifyWith(
  build: Secp256k1,
  digest: Uint8Array,
  signature: Uint8Array,
  publicKey: Uint8Array,
): boolean {
  if (digest.length !== 32 || signature.length !== 64 || publicKey.length !== 33) return false;
  try {
    return build.verify(digest, signature, publicKey);
  } catch {
    return false; // not a point, or r or s out of range
  }
}

/** Deterministic (RFC 6979), low-S signature over a 32-byte digest. */
export function signDigest(digest: Uint8Array, privateKey: Uint8Array): Uint8Array {
  if (digest.length !== 32 || privateKey.length !== 32) throw new RangeError("digest and private key have 32 bytes");
  return library.sign(digest, privateKey);
}

/** Compressed; throws for what is no private key. */
export function publicKeyOf(privateKey: Uint8Array): Uint8Array {
  if (privateKey.length !== 32) throw new RangeError("a private key has 32 bytes");
  return library.publicKeyOf(privateKey);
}

/**
 * The secret that two key pairs have in common: the x coordinate of one's point times the other's scalar (ECDH), 32 bytes. Not uniform: derive
 * keys from it. Throws for what is no key.
 */
export function sharedSecret(privateKey: Uint8Array, publicKey: Uint8Array): Uint8Array {
  const own = createECDH("secp256k1");
  own.setPrivateKey(privateKey);
  return Uint8Array.from(own.computeSecret(publicKey));
}

export function isPublicKey(bytes: Uint8Array): boolean {
  return bytes.length === 33 && library.isPublicKey(bytes);
}

export function newPrivateKey(): Uint8Array {
  for (;;) {
    const key = Uint8Array.from(randomBytes(32));
    if (library.isPrivateKey(key)) return key;
  }
}

export function sha256(bytes: Uint8Array): Uint8Array {
  const digest = new Uint8Array(32);
  sha256Into(digest, 0, bytes);
  return digest;
}

/** Puts the 32 bytes of a SHA-256 where they are wanted. */
export function sha256Into(target: Uint8Array, at: number, bytes: Uint8Array): void {
  // A string of 32 characters takes a third of the time that a Buffer takes to make.
  const binary = hash("sha256", bytes, "binary");
  for (let i = 0; i < 32; i++) target[at + i] = binary.charCodeAt(i);
}

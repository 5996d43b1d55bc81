/**
 * secp256k1 by libsecp256k1 (native). Signatures are 64 bytes r‖s with low s; keys are 33-byte compressed points.
 * Never the package's index: that falls back silently to a JavaScript implementation with other edge cases.
 */
import { hash, randomBytes } from "node:crypto";
import secp256k1 from "secp256k1/bindings.js";

/** True iff `signature` (64 bytes, low S) over the 32-byte `digest` is by `publicKey`. Malformed input is false. */
export function verifySignature(digest: Uint8Array, signature: Uint8Array, publicKey: Uint8Array): boolean {
  if (digest.length !== 32 || signature.length !== 64 || publicKey.length !== 33) return false;
  try {
    return secp256k1.ecdsaVerify(signature, digest, publicKey);
  } catch {
    return false; // not a point, or r or s out of range
  }
}

/** Deterministic (RFC 6979), low-S signature over a 32-byte digest. */
export function signDigest(digest: Uint8Array, privateKey: Uint8Array): Uint8Array {
  return Uint8Array.from(secp256k1.ecdsaSign(digest, privateKey).signature);
}

export function publicKeyOf(privateKey: Uint8Array): Uint8Array {
  return Uint8Array.from(secp256k1.publicKeyCreate(privateKey, true));
}

export function isPublicKey(bytes: Uint8Array): boolean {
  return bytes.length === 33 && secp256k1.publicKeyVerify(bytes);
}

export function newPrivateKey(): Uint8Array {
  for (;;) {
    const key = Uint8Array.from(randomBytes(32));
    if (secp256k1.privateKeyVerify(key)) return key;
  }
}

export const sha256 = (bytes: Uint8Array): Uint8Array => Uint8Array.from(hash("sha256", bytes, "buffer"));

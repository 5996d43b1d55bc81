/**
 * libsecp256k1 in one of its two builds. Every function gets arguments of the right length; `verify` may throw for
 * bytes that are no point or no scalars, which means false.
 */
export interface Secp256k1 {
  readonly name: "native" | "wasm";
  /** True iff the 64-byte r‖s with low s over the 32-byte digest is by the 33-byte key. */
  verify(digest: Uint8Array, signature: Uint8Array, publicKey: Uint8Array): boolean;
  /** RFC 6979, low s, 64 bytes. Throws for a key that is no scalar. */
  sign(digest: Uint8Array, privateKey: Uint8Array): Uint8Array;
  /** Compressed. Throws for a key that is no scalar. */
  publicKeyOf(privateKey: Uint8Array): Uint8Array;
  /** Whether 33 bytes are a compressed point of the curve. */
  isPublicKey(bytes: Uint8Array): boolean;
  /** Whether 32 bytes are a scalar in 1..n−1. */
  isPrivateKey(bytes: Uint8Array): boolean;
}

import { sha256, signDigest, verifySignature } from "@karat/common";
import { encodeSigned, type SignedMessage } from "@karat/proto";

export interface Signed {
  /** The exact bytes that were signed. */
  readonly bytes: Uint8Array;
  /** 64 bytes, low S, over SHA-256 of the bytes. */
  readonly signature: Uint8Array;
}

export function signMessage<K extends keyof SignedMessage>(
  kind: K,
  message: SignedMessage[K],
  privateKey: Uint8Array,
): Signed {
  const bytes = encodeSigned(kind, message);
  return { bytes, signature: signDigest(sha256(bytes), privateKey) };
}

/** True iff `bytes` carry a signature by `publicKey`. What they say is the caller's to decode and check. */
export function verifyBytes(bytes: Uint8Array, signature: Uint8Array, publicKey: Uint8Array): boolean {
  return verifySignature(sha256(bytes), signature, publicKey);
}

/** True iff `signature` is by `publicKey` over this very message. */
export function verifyMessage<K extends keyof SignedMessage>(
  kind: K,
  message: SignedMessage[K],
  signature: Uint8Array,
  publicKey: Uint8Array,
): boolean {
  return verifyBytes(encodeSigned(kind, message), signature, publicKey);
}

/**
 * What is known about signatures in this process. Whether a signature is good is a pure function of key, digest and
 * signature, so remembering a yes changes how fast something is decided and never what.
 */
// Not the index of the package: the threads need nothing else of it.
import { verifySignature } from "@karat/common/secp256k1";

/** Everything that a verification depends on. */
export interface SignatureCheck {
  /** SHA-256 of what was signed. */
  readonly digest: Uint8Array;
  /** r‖s, 64 bytes. */
  readonly signature: Uint8Array;
  /** Compressed, 33 bytes. */
  readonly publicKey: Uint8Array;
}

export const KEY_BYTES = 33;
export const DIGEST_BYTES = 32;
/** Key, digest, signature. */
export const CHECK_BYTES = 129;

/** The 129 bytes that stand for a check, undefined where a length is wrong: such a signature is no good. */
export function packCheck(
  { publicKey, digest, signature }: SignatureCheck,
  packed = new Uint8Array(CHECK_BYTES),
): Uint8Array | undefined {
  if (publicKey.length !== KEY_BYTES || digest.length !== DIGEST_BYTES || signature.length !== 64) return undefined;
  packed.set(publicKey, 0);
  packed.set(digest, KEY_BYTES);
  packed.set(signature, KEY_BYTES + DIGEST_BYTES);
  return packed;
}

/** Verifies `count` packed checks; one byte each, 1 for good. */
export function verifyPacked(packed: Uint8Array): Uint8Array {
  const verdicts = new Uint8Array(packed.length / CHECK_BYTES);
  for (let i = 0; i < verdicts.length; i++) {
    const at = packed.subarray(i * CHECK_BYTES, (i + 1) * CHECK_BYTES);
    const digest = at.subarray(KEY_BYTES, KEY_BYTES + DIGEST_BYTES);
    verdicts[i] = verifySignature(digest, at.subarray(KEY_BYTES + DIGEST_BYTES), at.subarray(0, KEY_BYTES)) ? 1 : 0;
  }
  return verdicts;
}

/** A packed check as a string of one character per byte: its name in the cache. Hashing it would cost more than the memory. */
export const nameOf = (packed: Uint8Array): string => latin1Slice.call(packed, 0, packed.length);
const { latin1Slice } = Buffer.prototype;

/** A set of bounded size that forgets the older half when it is full. */
export class VerifiedSignatures {
  readonly #half: number;
  #young = new Set<string>();
  #old: ReadonlySet<string> = new Set();

  /** @param capacity most signatures remembered, about 250 bytes of memory each. */
  constructor(capacity: number) {
    this.#half = Math.max(1, Math.floor(capacity / 2));
  }

  has(name: string): boolean {
    return this.#young.has(name) || this.#old.has(name);
  }

  add(name: string): void {
    this.#young.add(name);
    if (this.#young.size < this.#half) return;
    this.#old = this.#young;
    this.#young = new Set();
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  clear(): void {
    this.#young = new Set();
    this.#old = new Set();
  }
}

/** Of this process: several full blocks and what waits in the mempool. */
export const verifiedSignatures = new VerifiedSignatures(200_000);

const scratch = new Uint8Array(CHECK_BYTES);

/** As `verifySignature`, but one that was found good before costs a look-up only. */
export function verifyOnce(digest: Uint8Array, signature: Uint8Array, publicKey: Uint8Array): boolean {
  const packed = packCheck({ digest, signature, publicKey }, scratch);
  if (packed === undefined) return false;
  const name = nameOf(packed);
  if (verifiedSignatures.has(name)) return true;
  if (!verifySignature(digest, signature, publicKey)) return false;
  verifiedSignatures.add(name);
  return true;
}

import { sha256, sha256Into } from "@karat/common";
import { writeUvarint } from "./bytes.ts";

/**
 * The Merkle tree of RFC 6962 as CometBFT builds it over entries (the ICS-23 tendermint spec): a leaf is
 * sha256(0x00, len|key, 0x20|sha256(value)), an inner node sha256(0x01, left, right), and the left subtree of n leaves
 * holds the largest power of two below n. Building it in pairs from below, an odd last node moving up as it is, gives
 * the same tree.
 */
export const HASH_BYTES = 32;

/** One step from a leaf to the root: the preimage of the parent is prefix | child | suffix. */
export interface Step {
  prefix: Uint8Array;
  suffix: Uint8Array;
}

const none = new Uint8Array(0);
const pairOf = new Uint8Array(1 + 2 * HASH_BYTES);
pairOf[0] = 1;
let scratch = new Uint8Array(2048);

export function simpleLeaf(key: Uint8Array, value: Uint8Array): Uint8Array {
  const leaf = new Uint8Array(HASH_BYTES);
  putSimpleLeaf(leaf, 0, key, value);
  return leaf;
}

/** The same into `target`. */
export function putSimpleLeaf(target: Uint8Array, offset: number, key: Uint8Array, value: Uint8Array): void {
  if (scratch.length < key.length + 16 + HASH_BYTES) scratch = new Uint8Array(key.length * 2 + 16 + HASH_BYTES);
  scratch[0] = 0;
  let at = writeUvarint(scratch, 1, key.length);
  scratch.set(key, at);
  at += key.length;
  scratch[at++] = HASH_BYTES;
  sha256Into(scratch, at, value);
  sha256Into(target, offset, scratch.subarray(0, at + HASH_BYTES));
}

/** The root over leaf hashes that lie one after the other, 32 bytes each. */
export function simpleRoot(leaves: Uint8Array): Uint8Array {
  if (leaves.length === 0) return sha256(none);
  let level = leaves;
  while (level.length > HASH_BYTES) level = parents(level);
  return new Uint8Array(level);
}

/** The steps from the leaf of an index to the root. */
export function simplePath(leaves: Uint8Array, index: number): Step[] {
  const path: Step[] = [];
  let level = leaves;
  for (let at = index; level.length > HASH_BYTES; at >>>= 1, level = parents(level)) {
    const sibling = hashAt(level, at ^ 1);
    if (sibling.length === 0) continue;
    path.push(
      at % 2 === 0
        ? { prefix: Uint8Array.of(1), suffix: sibling.slice() }
        : { prefix: Uint8Array.of(1, ...sibling), suffix: none },
    );
  }
  return path;
}

export const hashAt = (hashes: Uint8Array, index: number): Uint8Array =>
  hashes.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES);

function parents(level: Uint8Array): Uint8Array {
  const count = level.length / HASH_BYTES;
  const above = new Uint8Array(Math.ceil(count / 2) * HASH_BYTES);
  for (let at = 0; at < count; at += 2) {
    const pair = level.subarray(at * HASH_BYTES, (at + 2) * HASH_BYTES);
    if (pair.length === HASH_BYTES) above.set(pair, (at / 2) * HASH_BYTES);
    else {
      pairOf.set(pair, 1);
      sha256Into(above, (at / 2) * HASH_BYTES, pairOf);
    }
  }
  return above;
}

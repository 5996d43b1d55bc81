import { sha256 } from "@karat/common";
import { writeUvarint } from "../bytes.ts";

/** Root of a tree without entries. */
export const EMPTY_ROOT = sha256(new Uint8Array(0));

/**
 * The content of a node. A leaf (`value` set, no children) holds an entry; an inner node's `key` is the smallest key
 * of its right subtree. `version` is the height of the block that made the node, 0 until its hash was computed.
 */
export class Node {
  key: Uint8Array;
  readonly value: Uint8Array | undefined;
  version: number;
  left: Ref | undefined;
  right: Ref | undefined;

  constructor(key: Uint8Array, value: Uint8Array | undefined, version: number, left?: Ref, right?: Ref) {
    this.key = key;
    this.value = value;
    this.version = version;
    this.left = left;
    this.right = right;
  }
}

/**
 * A pointer to a node together with what its parent has to know, so that siblings on a path need not be loaded.
 * A saved node is known by `id` and lies in the backend (or its cache); an unsaved one hangs on `node`.
 */
export class Ref {
  id: number;
  /** 32 bytes; empty until computed. */
  hash: Uint8Array;
  /** 0 for a leaf. */
  height: number;
  /** Number of leaves below. */
  size: number;
  node: Node | undefined;

  constructor(id: number, hash: Uint8Array, height: number, size: number, node?: Node) {
    this.id = id;
    this.hash = hash;
    this.height = height;
    this.size = size;
    this.node = node;
  }
}

export const NO_HASH = new Uint8Array(0);

/** Where saved nodes come from. Throws KaratError `corrupt_store` for an id that is not there. */
export interface NodeSource {
  load(id: number): Node;
}

/** Go's signed varint (zigzag) of a number that is never negative here. */
const writeVarint = (out: Uint8Array, at: number, value: number): number => writeUvarint(out, at, value * 2);

// Hashing is the hot path: one buffer for all preimages. A leaf's is at most three varints and a key.
const scratch = new Uint8Array(4096);

/** What the hash of a node begins with: height, size, version. Returns the bytes written to `out`. */
export function writeHeader(out: Uint8Array, height: number, size: number, version: number): number {
  return writeVarint(out, writeVarint(out, writeVarint(out, 0, height), size), version);
}

/** sha256(height, size, version, len|key, 0x20|sha256(value)), as cosmos/iavl v1 does it. */
export function leafHash(key: Uint8Array, value: Uint8Array, version: number): Uint8Array {
  let at = writeHeader(scratch, 0, 1, version);
  at = writeUvarint(scratch, at, key.length);
  scratch.set(key, at);
  at += key.length;
  scratch[at++] = 32;
  scratch.set(sha256(value), at);
  return sha256(scratch.subarray(0, at + 32));
}

/** sha256(height, size, version, 0x20|left, 0x20|right): an inner node's key is not hashed. */
export function innerHash(
  height: number,
  size: number,
  version: number,
  left: Uint8Array,
  right: Uint8Array,
): Uint8Array {
  let at = writeHeader(scratch, height, size, version);
  scratch[at++] = 32;
  scratch.set(left, at);
  at += 32;
  scratch[at++] = 32;
  scratch.set(right, at);
  return sha256(scratch.subarray(0, at + 32));
}

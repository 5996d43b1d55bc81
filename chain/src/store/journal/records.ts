/** What is kept beside the flat table: the leaves of each block that still counts, and how to undo the newest blocks. */
import { compareBytes } from "../bytes.ts";
import { HASH_BYTES, hashAt } from "../simpleTree.ts";
import { Packed, pack } from "./packed.ts";

/**
 * The leaves of one block, in order: their hashes, and the keys of those that may still be current (empty where a state
 * sync brought the hash alone).
 */
export class BlockLeaves {
  readonly hashes: Uint8Array;
  readonly #keys: Packed;

  constructor(record: Uint8Array) {
    this.#keys = new Packed(record);
    this.hashes = record.subarray(record.length - this.#keys.size * HASH_BYTES);
  }

  static encode(keys: readonly Uint8Array[], hashes: Uint8Array): Uint8Array {
    return Buffer.concat([pack(keys), hashes]);
  }

  get size(): number {
    return this.#keys.size;
  }

  hashAt(index: number): Uint8Array {
    return hashAt(this.hashes, index);
  }

  key(index: number): Uint8Array {
    return this.#keys.at(index);
  }
}

/** What a block changed, sorted by key, with the place of the entry there was before; for reading and proving earlier heights. */
export class Undo {
  readonly #parts: Packed;

  constructor(record: Uint8Array) {
    this.#parts = new Packed(record);
  }

  /** `entry`: the place; undefined where there was none. */
  static encode(changes: readonly (readonly [key: Uint8Array, entry: Uint8Array | undefined])[]): Uint8Array {
    return pack(changes.flatMap(([key, entry]) => [key, entry ?? NO_ENTRY]));
  }

  /** The entry before the block; undefined where the block did not change the key. */
  find(key: Uint8Array): { entry: Uint8Array | undefined } | undefined {
    const at = this.#lowerBound(key);
    if (at >= this.size || compareBytes(this.#parts.at(2 * at), key) !== 0) return undefined;
    return { entry: this.#entry(at) };
  }

  /** The changes of a range of keys, `start` inclusive, `end` exclusive. */
  *range(start?: Uint8Array, end?: Uint8Array): Generator<readonly [Uint8Array, Uint8Array | undefined]> {
    for (let at = start === undefined ? 0 : this.#lowerBound(start); at < this.size; at++) {
      const key = this.#parts.at(2 * at);
      if (end !== undefined && compareBytes(key, end) >= 0) return;
      yield [key, this.#entry(at)];
    }
  }

  get size(): number {
    return this.#parts.size / 2;
  }

  #entry(at: number): Uint8Array | undefined {
    const entry = this.#parts.at(2 * at + 1);
    return entry.length === 0 ? undefined : entry;
  }

  #lowerBound(key: Uint8Array): number {
    let low = 0;
    let high = this.size;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareBytes(this.#parts.at(2 * middle), key) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** A place has three bytes at least. */
const NO_ENTRY = new Uint8Array(0);

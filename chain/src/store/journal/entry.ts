/**
 * How the current entries of a journaled store lie in the flat table: the block that wrote an entry and its place
 * among that block's leaves (varints), then the value.
 */
import { KaratError } from "@karat/common";
import { writeUvarint } from "../iavl/node.ts";
import type { Range, Reader } from "../types.ts";

/** Where an entry was last written. */
export interface Place {
  /** Height of the block. */
  height: number;
  /** Among the leaves of that block, which are sorted by key. */
  index: number;
}

const MAX_PLACE_BYTES = 16;

export function encodeEntry({ height, index }: Place, value: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(MAX_PLACE_BYTES + value.length);
  const at = writeUvarint(bytes, writeUvarint(bytes, 0, height), index);
  bytes.set(value, at);
  return bytes.subarray(0, at + value.length);
}

export function placeOf(entry: Uint8Array): Place {
  const [height, next] = uvarintAt(entry, 0);
  const [index] = uvarintAt(entry, next);
  return { height, index };
}

/** A view, not a copy. */
export function entryValue(entry: Uint8Array): Uint8Array {
  let at = 0;
  for (let seen = 0; seen < 2; seen++) while ((entry[at++] ?? 0) >= 0x80);
  if (at > entry.length) throw new KaratError("corrupt_store", "an entry is malformed");
  return entry.subarray(at);
}

export function uvarintAt(bytes: Uint8Array, start: number): [value: number, end: number] {
  let value = 0;
  let unit = 1;
  for (let at = start; at < start + 8; at++, unit *= 0x80) {
    const byte = bytes[at];
    if (byte === undefined) break;
    value += (byte & 0x7f) * unit;
    if (byte < 0x80) return [value, at + 1];
  }
  throw new KaratError("corrupt_store", "an entry is malformed");
}

/** The values of a flat table of entries. */
export class EntryReader implements Reader {
  readonly #entries: Reader;

  constructor(entries: Reader) {
    this.#entries = entries;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    const entry = this.#entries.get(key);
    return entry === undefined ? undefined : entryValue(entry);
  }

  has(key: Uint8Array): boolean {
    return this.#entries.has(key);
  }

  *iterate(range?: Range): Generator<readonly [Uint8Array, Uint8Array]> {
    for (const [key, entry] of this.#entries.iterate(range)) yield [key, entryValue(entry)];
  }
}

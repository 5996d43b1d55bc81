/** A journaled store as it was after an earlier block: the current entries, less what the blocks since then changed. */
import { KaratError } from "@karat/common";
import { fromBinary, toBinary } from "../bytes.ts";
import { Overlay } from "../overlay.ts";
import { StoredValues } from "../storedValues.ts";
import type { KeyRange, Range, Reader } from "../types.ts";
import { Value } from "../value.ts";
import { EntryReader, entryValue, placeOf } from "./entry.ts";
import type { Undo } from "./records.ts";

/** Most changes that one iteration over an earlier height undoes. */
const MAX_UNDONE = 1_000_000;

export interface HistoryDeps {
  /** Current entries, with their places. */
  entries: Reader;
  /** Undefined where the block changed nothing. */
  undo(height: number): Undo | undefined;
  /** Height of the current entries. */
  latest: number;
}

/** The entry of a key after the block of `height`, with its place; undefined where there was none. */
export function entryAt(
  { entries, undo, latest }: HistoryDeps,
  height: number,
  key: Uint8Array,
): Uint8Array | undefined {
  const entry = entries.get(key);
  const written = entry === undefined ? latest : placeOf(entry).height;
  for (let later = height + 1; later <= written; later++) {
    const found = undo(later)?.find(key);
    if (found !== undefined) return found.entry;
  }
  return entry;
}

export class HistoryReader implements Reader {
  readonly #deps: HistoryDeps;
  readonly #height: number;

  constructor(deps: HistoryDeps, height: number) {
    this.#deps = deps;
    this.#height = height;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    const entry = entryAt(this.#deps, this.#height, key);
    return entry && entryValue(entry);
  }

  has(key: Uint8Array): boolean {
    return entryAt(this.#deps, this.#height, key) !== undefined;
  }

  /** Throws `height_unavailable` where too much of the range has changed since. */
  *iterate(range: Range = {}): Generator<readonly [Uint8Array, Uint8Array]> {
    const { entries, undo, latest } = this.#deps;
    const then = new Overlay(new StoredValues(new EntryReader(entries)));
    const height = this.#height;
    for (let later = latest; later > height; later--) {
      for (const [key, entry] of undo(later)?.range(range.start, range.end) ?? []) {
        then.put(toBinary(key), entry && Value.encoded(entryValue(entry)));
      }
      if (then.size > MAX_UNDONE) {
        throw new KaratError("height_unavailable", "too much has changed since this height", { height, latest });
      }
    }
    for (const [key, value] of then.values(keyRangeOf(range))) yield [fromBinary(key), value.bytes];
  }
}

const keyRangeOf = ({ start, end, reverse = false }: Range): KeyRange => ({
  ...(start && { start: toBinary(start) }),
  ...(end && { end: toBinary(end) }),
  reverse,
});

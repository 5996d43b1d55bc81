/** A journaled store as it was after an earlier block: the current entries, less what the blocks since then changed. */
import { KaratError } from "@karat/common";
import { fromBinary, toBinary } from "../bytes.ts";
import { Overlay } from "../overlay.ts";
import { StoredValues } from "../storedValues.ts";
import type { KeyRange, Range, Reader } from "../types.ts";
import { Value } from "../value.ts";
import { EntryReader, type Place, placeOf, type ReadPage, valueAt } from "./entry.ts";
import type { Undo } from "./records.ts";

/** Most changes that one iteration over an earlier height undoes. */
const MAX_UNDONE = 1_000_000;

export interface HistoryDeps {
  /** Places of the current entries. */
  places: Reader;
  page: ReadPage;
  /** Undefined where the block changed nothing. */
  undo(height: number): Undo | undefined;
  /** Height of the current entries. */
  latest: number;
}

/** Where the entry of a key lies after the block of `height`; undefined where there was none. */
export function placeAt({ places, undo, latest }: HistoryDeps, height: number, key: Uint8Array): Place | undefined {
  const entry = places.get(key);
  const now = entry && placeOf(entry);
  const written = now?.height ?? latest;
  for (let later = height + 1; later <= written; later++) {
    const found = undo(later)?.find(key);
    if (found !== undefined) return found.entry && placeOf(found.entry);
  }
  return now;
}

export class HistoryReader implements Reader {
  readonly #deps: HistoryDeps;
  readonly #height: number;

  constructor(deps: HistoryDeps, height: number) {
    this.#deps = deps;
    this.#height = height;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    const place = placeAt(this.#deps, this.#height, key);
    return place && valueAt(this.#deps.page, place);
  }

  has(key: Uint8Array): boolean {
    return placeAt(this.#deps, this.#height, key) !== undefined;
  }

  /** Throws `height_unavailable` where too much of the range has changed since. */
  *iterate(range: Range = {}): Generator<readonly [Uint8Array, Uint8Array]> {
    const { places, page, undo, latest } = this.#deps;
    const then = new Overlay(new StoredValues(new EntryReader(places, page)));
    const height = this.#height;
    for (let later = latest; later > height; later--) {
      for (const [key, entry] of undo(later)?.range(range.start, range.end) ?? []) {
        then.put(toBinary(key), entry && Value.encoded(valueAt(page, placeOf(entry))));
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

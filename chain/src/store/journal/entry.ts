/**
 * Where the current entries of a journaled store lie. The flat table has, for each key, the block that wrote the entry and its place
 * among that block's leaves; the values of a block lie one after the other in a few pages, which are written once. So what a block
 * costs the disk is what it writes, and little of the flat table, whose keys come in no order.
 */
import { ByteReader, ByteWriter } from "../codec.ts";
import type { Range, Reader } from "../types.ts";
import { Packed, pack } from "./packed.ts";

/** Where an entry was last written. */
export interface Place {
  /** Height of the block. */
  height: number;
  /** Among the leaves of that block, which are sorted by key. */
  index: number;
  /** Index of the first leaf whose value lies in the same page. */
  page: number;
}

/** Values of leaves from `first` on, one after the other. */
export interface ValuePage {
  first: number;
  values: Uint8Array;
}

const out = new ByteWriter(64);

export function encodePlace({ height, index, page }: Place): Uint8Array {
  return out.reset().uvarint(height).uvarint(index).uvarint(page).view().slice();
}

export function placeOf(entry: Uint8Array): Place {
  const reader = new ByteReader(entry);
  return { height: reader.uvarint(), index: reader.uvarint(), page: reader.uvarint() };
}

/** Four pages of LMDB, less what they begin with. */
const PAGE_BYTES = 4 * 4096 - 16;
/** What `pack` adds to all values together, and to each. */
const HEAD_BYTES = 4;

/** Puts the values of a block into pages, in order. A value that is too long for one has one for itself. */
export class ValuePages {
  readonly #pages: ValuePage[] = [];
  #values: Uint8Array[] = [];
  #first = 0;
  #bytes = HEAD_BYTES;

  /** Gives the page of the value: the index of its first. */
  add(value: Uint8Array): number {
    const bytes = HEAD_BYTES + value.length;
    if (this.#bytes + bytes > PAGE_BYTES) this.#close();
    this.#bytes += bytes;
    this.#values.push(value);
    return this.#first;
  }

  /** All pages. */
  finish(): readonly ValuePage[] {
    this.#close();
    return this.#pages;
  }

  #close(): void {
    if (this.#values.length === 0) return;
    this.#pages.push({ first: this.#first, values: pack(this.#values) });
    this.#first += this.#values.length;
    this.#values = [];
    this.#bytes = HEAD_BYTES;
  }
}

/** Reads the page that begins with the value of a leaf. */
export type ReadPage = (height: number, first: number) => Uint8Array;

/** The value at a place: a view. */
export const valueAt = (read: ReadPage, { height, index, page }: Place): Uint8Array =>
  new Packed(read(height, page)).at(index - page);

/** The values of a flat table of places. */
export class EntryReader implements Reader {
  readonly #places: Reader;
  readonly #read: ReadPage;

  constructor(places: Reader, read: ReadPage) {
    this.#places = places;
    this.#read = read;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    const entry = this.#places.get(key);
    return entry === undefined ? undefined : valueAt(this.#read, placeOf(entry));
  }

  has(key: Uint8Array): boolean {
    return this.#places.has(key);
  }

  *iterate(range?: Range): Generator<readonly [Uint8Array, Uint8Array]> {
    for (const [key, entry] of this.#places.iterate(range)) yield [key, valueAt(this.#read, placeOf(entry))];
  }
}

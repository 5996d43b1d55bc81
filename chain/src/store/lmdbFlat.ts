import type { Database } from "lmdb";
import { plain, toBinary } from "./bytes.ts";
import { GenerationCache } from "./generationCache.ts";
import type { Change, Range, Reader } from "./types.ts";

export type Table = Database<Buffer, Uint8Array>;

/** The smallest key. lmdb-js leaves it out of a reversed range without a lower bound, so every range here has one. */
export const FIRST_KEY = Uint8Array.of(0);
/** Estimated bytes that the places of a store take in memory, and one of them. */
const PLACES_BYTES = 16 * 1024 * 1024;
const PLACE_COST = 200;

export const buffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);

/** The latest entries of a store. */
export class FlatTable implements Reader {
  readonly #table: Table;

  constructor(table: Table) {
    this.#table = table;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    if (key.length === 0) return undefined;
    const value = this.#table.getBinary(key);
    return value === undefined ? undefined : plain(value);
  }

  has(key: Uint8Array): boolean {
    return key.length > 0 && this.#table.doesExist(key);
  }

  /** Inside a transaction. */
  write(changes: readonly Change[]): void {
    for (const [key, value] of changes) {
      if (value === undefined) this.#table.removeSync(key);
      else this.#table.putSync(key, buffer(value));
    }
  }

  clear(): void {
    this.#table.clearSync();
    this.forget();
  }

  /** Forgets what is held in memory. */
  forget(): void {}

  *iterate({ start, end, reverse = false }: Range = {}): Generator<readonly [Uint8Array, Uint8Array]> {
    if (end?.length === 0) return;
    const first = start === undefined || start.length === 0 ? FIRST_KEY : start;
    // Reversed, LMDB starts from the upper bound and has to be told that the bounds swap what they include.
    const upper = end === undefined ? {} : { start: end, exclusiveStart: true };
    const range = reverse
      ? { reverse, ...upper, end: first, inclusiveEnd: true }
      : { start: first, ...(end === undefined ? {} : { end }) };
    for (const { key, value } of this.#table.getRange(range)) {
      const entry: Change = [plain(Buffer.from(key.buffer, key.byteOffset, key.length)), plain(value)];
      yield entry as readonly [Uint8Array, Uint8Array];
    }
  }
}

/** The places of a journal's entries: small, and asked for whenever an entry is written. */
export class PlaceTable extends FlatTable {
  /** null: there is none. */
  readonly #cache = new GenerationCache<string, Uint8Array | null>(PLACES_BYTES, () => PLACE_COST);

  override get(key: Uint8Array): Uint8Array | undefined {
    const name = toBinary(key);
    const known = this.#cache.get(name);
    if (known !== undefined) return known ?? undefined;
    const place = super.get(key);
    this.#cache.set(name, place ?? null);
    return place;
  }

  /** The cache is told before it is known whether the transaction succeeds: where it fails, it is forgotten. */
  override write(changes: readonly Change[]): void {
    super.write(changes);
    for (const [key, place] of changes) this.#cache.set(toBinary(key), place ?? null);
  }

  override forget(): void {
    this.#cache.clear();
  }
}

import { Members, toBuckets } from "./buckets.ts";
import { fromBinary } from "./bytes.ts";
import { requireFaithful } from "./faithful.ts";
import { GenerationCache } from "./generationCache.ts";
import type { Overlay, Write } from "./overlay.ts";
import { StoredValues } from "./storedValues.ts";
import type { Change, CommitStore, KeyRange, Reader, ValueReader } from "./types.ts";
import type { Value } from "./value.ts";

/** Estimated bytes of decoded values that are kept of each store. */
const CACHE_BYTES = 32 * 1024 * 1024;
/** What a value costs beside what it says, and how many times its bytes that is, decoded. */
const OVERHEAD = 300;
const DECODED = 3;

/** Entries of a store; what was read or written lately is not read and decoded again. */
class CachedValues implements ValueReader {
  readonly #stored: StoredValues;
  /** null: there is none. */
  readonly #cache = new GenerationCache<string, Value | null>(CACHE_BYTES, costOf);
  /** The same with buckets as their members. */
  readonly members = new Members(this);

  constructor(reader: Reader) {
    this.#stored = new StoredValues(reader);
  }

  value(key: string): Value | undefined {
    const known = this.#cache.get(key);
    if (known !== undefined) return known ?? undefined;
    const value = this.#stored.value(key);
    this.#cache.set(key, value ?? null);
    return value;
  }

  values(range?: KeyRange): Iterable<readonly [string, Value]> {
    return this.#stored.values(range);
  }

  replace(writes: readonly Write[]): void {
    for (const [key, value] of writes) {
      if (value === null) this.#cache.delete(key);
      else {
        value.slim();
        this.#cache.set(key, value);
      }
    }
  }

  forget(): void {
    this.#cache.clear();
  }
}

/**
 * The committed state of a CommitStore with its values decoded. All staging and committing has to go through it: what another
 * writes to the store is not seen here.
 */
export class Committed {
  readonly #store: CommitStore;
  readonly #caches = new Map<string, CachedValues>();
  #staged: readonly (readonly [CachedValues, readonly Write[]])[] = [];

  readonly #strict: boolean;

  /**
   * `strict`, for tests: looks at each value that is staged (`requireFaithful`).
   */
  constructor(store: CommitStore, strict = false) {
    this.#store = store;
    this.#strict = strict;
  }

  /** Throws `unknown_store`. */
  reader(name: string): ValueReader {
    return this.#cached(name).members;
  }

  /** Stages what overlays over these readers have written; returns the app hash. */
  stage(height: bigint, overlays: ReadonlyMap<string, Overlay>): Uint8Array {
    const names = [...overlays.keys()].filter((name) => overlays.get(name)!.size > 0).sort();
    if (this.#strict) for (const name of names) requireFaithful(name, overlays.get(name)!.changes());
    const writes = names.map((name) => toBuckets(overlays.get(name)!.changes(), this.#cached(name)));
    const appHash = this.#store.stage(height, new Map(names.map((name, i) => [name, writes[i]!.map(changeOf)])));
    this.#staged = names.map((name, i) => [this.#cached(name), writes[i]!]);
    return appHash;
  }

  /** Commits what was staged last. */
  commit(): void {
    this.#store.commit();
    for (const [cache, writes] of this.#staged) cache.replace(writes);
    this.#staged = [];
  }

  /** To be called when the store has come to hold another state. */
  forget(): void {
    for (const cache of this.#caches.values()) cache.forget();
  }

  #cached(name: string): CachedValues {
    let cached = this.#caches.get(name);
    if (cached === undefined) {
      cached = new CachedValues(this.#store.reader(name));
      this.#caches.set(name, cached);
    }
    return cached;
  }
}

const changeOf = ([key, value]: Write): Change => [fromBinary(key), value?.bytes];

const costOf = (key: string, value: Value | null): number =>
  OVERHEAD + key.length + (value === null ? 0 : DECODED * value.size);

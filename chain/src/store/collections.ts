/**
 * Typed views on a module's store. Keys are a prefix byte and an order-preserving encoding, so that iteration order
 * is the order of the keys' meaning.
 */
import type { Reader, Writer } from "./types.ts";

export interface Codec<T> {
  encode(value: T): Uint8Array;
  decode(bytes: Uint8Array): T;
}

/** The codec of a generated protobuf type. */
export function protoCodec<T>(type: {
  encode(message: T): { finish(): Uint8Array };
  decode(bytes: Uint8Array): T;
}): Codec<T> {
  return { encode: (value) => type.encode(value).finish(), decode: (bytes) => type.decode(bytes) };
}

/** u64, big-endian: sorts as numbers. */
export const u64: Codec<bigint> = {
  encode(value) {
    if (value < 0n || value > 0xffff_ffff_ffff_ffffn) throw new RangeError("u64 out of range");
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, value);
    return bytes;
  },
  decode: (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getBigUint64(0),
};

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/** Text without NUL, ended by NUL inside a compound key: sorts bytewise. */
export const text: Codec<string> = {
  encode(value) {
    const bytes = encoder.encode(value);
    if (bytes.includes(0)) throw new RangeError("NUL in a key");
    return bytes;
  },
  decode: (bytes) => decoder.decode(bytes),
};

export const bytes: Codec<Uint8Array> = { encode: (value) => value, decode: (value) => value.slice() };
/** For sets: the key says it all. */
export const nothing: Codec<true> = { encode: () => new Uint8Array([1]), decode: () => true };

/** A compound key of a first part (u64, or text ended by NUL, or `width` bytes) and a second. */
export function pair<A, B>(first: Codec<A>, second: Codec<B>, width?: number): Codec<readonly [A, B]> {
  const fixed = (first as unknown) === u64 ? 8 : width;
  return {
    encode([a, b]) {
      const head = first.encode(a);
      if (fixed !== undefined && head.length !== fixed) throw new RangeError("first part of a key has the wrong width");
      return fixed === undefined ? concat(head, Uint8Array.of(0), second.encode(b)) : concat(head, second.encode(b));
    },
    decode(key) {
      const at = fixed ?? key.indexOf(0);
      return [first.decode(key.subarray(0, at)), second.decode(key.subarray(fixed === undefined ? at + 1 : at))];
    },
  };
}

function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((n, part) => n + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** The first key after all keys that begin with `prefix`; undefined when there is none (all 0xff). */
export function prefixEnd(prefix: Uint8Array): Uint8Array | undefined {
  const end = prefix.slice();
  for (let i = end.length - 1; i >= 0; i--) {
    if (end[i] !== 0xff) {
      end[i]!++;
      return end.slice(0, i + 1);
    }
  }
  return undefined;
}

/** One value. */
export class Item<T> {
  readonly #key: Uint8Array;
  readonly #codec: Codec<T>;

  constructor(prefix: number, codec: Codec<T>) {
    this.#key = Uint8Array.of(prefix);
    this.#codec = codec;
  }

  get(store: Reader): T | undefined {
    const value = store.get(this.#key);
    return value && this.#codec.decode(value);
  }

  set(store: Writer, value: T): void {
    store.set(this.#key, this.#codec.encode(value));
  }

  delete(store: Writer): void {
    store.delete(this.#key);
  }
}

export interface Range<K> {
  /** First key, included. */
  readonly from?: K;
  /** Keys after this one only. */
  readonly after?: K;
  /** Encoded beginning that all keys must share (without the table's own prefix). */
  readonly prefix?: Uint8Array;
  readonly limit?: number;
  readonly reverse?: boolean;
}

/** Values by key, in key order. */
export class Table<K, T> {
  readonly #prefix: number;
  readonly #key: Codec<K>;
  readonly #value: Codec<T>;

  constructor(prefix: number, key: Codec<K>, value: Codec<T>) {
    this.#prefix = prefix;
    this.#key = key;
    this.#value = value;
  }

  /** The full store key, for proofs. */
  keyOf(key: K): Uint8Array {
    return concat(Uint8Array.of(this.#prefix), this.#key.encode(key));
  }

  get(store: Reader, key: K): T | undefined {
    const value = store.get(this.keyOf(key));
    return value && this.#value.decode(value);
  }

  has(store: Reader, key: K): boolean {
    return store.has(this.keyOf(key));
  }

  set(store: Writer, key: K, value: T): void {
    store.set(this.keyOf(key), this.#value.encode(value));
  }

  delete(store: Writer, key: K): void {
    store.delete(this.keyOf(key));
  }

  /** Entries in key order. Collect before writing to the same table inside the loop. */
  *entries(store: Reader, range: Range<K> = {}): Generator<readonly [K, T]> {
    const base = concat(Uint8Array.of(this.#prefix), range.prefix ?? new Uint8Array());
    const end = prefixEnd(base);
    const bound = range.from ?? range.after;
    const begin = bound === undefined ? base : this.keyOf(bound);
    const bounds = range.reverse
      ? { start: base, ...(bound === undefined ? (end ? { end } : {}) : { end: begin }) }
      : { start: begin, ...(end ? { end } : {}) };
    let left = range.limit ?? Number.POSITIVE_INFINITY;
    for (const [key, value] of store.iterate({ ...bounds, reverse: range.reverse ?? false })) {
      const decoded = this.#key.decode(key.subarray(1));
      if (!range.reverse && range.after !== undefined && range.from === undefined && equal(key, begin)) continue;
      if (left-- <= 0) return;
      yield [decoded, this.#value.decode(value)];
    }
  }
}

const equal = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && a.every((byte, i) => byte === b[i]);

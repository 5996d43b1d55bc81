/**
 * Typed views on a module's store. Keys are a prefix byte and an order-preserving encoding, so that iteration order
 * is the order of the keys' meaning.
 */
import { encoderOf } from "@karat/proto";
import { fromBinary, toBinary } from "./bytes.ts";
import type { ValueReader, ValueWriter } from "./types.ts";
import { type Codec, Value } from "./value.ts";

export { BUCKETS } from "./buckets.ts";
export type { Codec } from "./value.ts";

/** How something is written inside a key: as a binary string. */
export interface KeyCodec<K> {
  toKey(key: K): string;
  fromKey(key: string): K;
}

/** The codec of a generated type of ours. */
export function protoCodec<T, W extends { finish(): Uint8Array }>(type: {
  encode(message: T, writer?: W): W;
  decode(bytes: Uint8Array): T;
}): Codec<T> {
  return { encode: encoderOf(type), decode: (bytes) => type.decode(bytes) };
}

/** The codec of a type of cosmjs-types, whose writers serve once. */
export function cosmosCodec<T>(type: {
  encode(message: T): { finish(): Uint8Array };
  decode(bytes: Uint8Array): T;
}): Codec<T> {
  return { encode: (value) => type.encode(value).finish(), decode: (bytes) => type.decode(bytes) };
}

const scratch = new DataView(new ArrayBuffer(8));
const scratchBytes = new Uint8Array(scratch.buffer);

/** u64, big-endian: sorts as numbers. */
export const u64: Codec<bigint> & KeyCodec<bigint> = {
  encode(value) {
    checkU64(value);
    scratch.setBigUint64(0, value);
    return scratchBytes.slice();
  },
  decode: (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getBigUint64(0),
  toKey(value) {
    checkU64(value);
    scratch.setBigUint64(0, value);
    const at = (i: number) => scratch.getUint8(i);
    return String.fromCharCode(at(0), at(1), at(2), at(3), at(4), at(5), at(6), at(7));
  },
  fromKey(key) {
    for (let i = 0; i < 8; i++) scratch.setUint8(i, key.charCodeAt(i));
    return scratch.getBigUint64(0);
  },
};

function checkU64(value: bigint): void {
  if (value < 0n || value > 0xffff_ffff_ffff_ffffn) throw new RangeError("u64 out of range");
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });
/** Of these, characters and bytes are the same. */
const ASCII = /^[ -~]*$/;

/** Text without NUL, ended by NUL inside a compound key: sorts bytewise. */
export const text: Codec<string> & KeyCodec<string> = {
  encode(value) {
    const encoded = encoder.encode(value);
    if (encoded.includes(0)) throw new RangeError("NUL in a key");
    return encoded;
  },
  decode: (bytes) => decoder.decode(bytes),
  toKey: (value) => (ASCII.test(value) ? value : toBinary(text.encode(value))),
  fromKey: (key) => (ASCII.test(key) ? key : text.decode(fromBinary(key))),
};

export const bytes: Codec<Uint8Array> & KeyCodec<Uint8Array> = {
  encode: (value) => value,
  decode: (value) => value.slice(),
  toKey: toBinary,
  fromKey: fromBinary,
};
/** For sets: the key says it all. */
export const nothing: Codec<true> = { encode: () => new Uint8Array([1]), decode: () => true };
const NO_BYTES = new Uint8Array();
/** For sets in buckets: members without values. */
export const member: Codec<true> = { encode: () => NO_BYTES, decode: () => true };

/** A compound key of a first part (u64, or text ended by NUL, or `width` bytes) and a second. */
export function pair<A, B>(first: KeyCodec<A>, second: KeyCodec<B>, width?: number): KeyCodec<readonly [A, B]> {
  const fixed = (first as unknown) === u64 ? 8 : width;
  return {
    toKey([a, b]) {
      const head = first.toKey(a);
      if (fixed !== undefined && head.length !== fixed) throw new RangeError("first part of a key has the wrong width");
      return fixed === undefined ? `${head}\0${second.toKey(b)}` : head + second.toKey(b);
    },
    fromKey(key) {
      const at = fixed ?? key.indexOf("\0");
      return [first.fromKey(key.slice(0, at)), second.fromKey(key.slice(fixed === undefined ? at + 1 : at))];
    },
  };
}

/** The first key after all keys that begin with `prefix`; undefined when there is none (all 0xff). */
function prefixEnd(prefix: string): string | undefined {
  for (let i = prefix.length - 1; i >= 0; i--) {
    const last = prefix.charCodeAt(i);
    if (last !== 0xff) return prefix.slice(0, i) + String.fromCharCode(last + 1);
  }
  return undefined;
}

/** One value. */
export class Item<T> {
  readonly #key: string;
  readonly #codec: Codec<T>;

  constructor(prefix: number, codec: Codec<T>) {
    this.#key = String.fromCharCode(prefix);
    this.#codec = codec;
  }

  get(store: ValueReader): T | undefined {
    return store.value(this.#key)?.as(this.#codec);
  }

  set(store: ValueWriter, value: T): void {
    store.put(this.#key, Value.of(this.#codec, value));
  }

  delete(store: ValueWriter): void {
    store.put(this.#key, undefined);
  }
}

export interface Range<K> {
  /** First key, included. */
  readonly from?: K;
  /** Keys after this one only. */
  readonly after?: K;
  /** Keys before this one only; not reversed. */
  readonly before?: K;
  /** Encoded beginning that all keys must share (without the table's own prefix). */
  readonly prefix?: string;
  readonly limit?: number;
  readonly reverse?: boolean;
}

/** Values by key, in key order. */
export class Table<K, T> {
  readonly #prefix: string;
  readonly #key: KeyCodec<K>;
  readonly #codec: Codec<T>;

  constructor(prefix: number, key: KeyCodec<K>, codec: Codec<T>) {
    this.#prefix = String.fromCharCode(prefix);
    this.#key = key;
    this.#codec = codec;
  }

  /** The full store key, for proofs. */
  keyOf(key: K): Uint8Array {
    return fromBinary(this.#binary(key));
  }

  get(store: ValueReader, key: K): T | undefined {
    return store.value(this.#binary(key))?.as(this.#codec);
  }

  has(store: ValueReader, key: K): boolean {
    return store.value(this.#binary(key)) !== undefined;
  }

  set(store: ValueWriter, key: K, value: T): void {
    store.put(this.#binary(key), Value.of(this.#codec, value));
  }

  delete(store: ValueWriter, key: K): void {
    store.put(this.#binary(key), undefined);
  }

  /** Entries in key order. Collect before writing to the same table inside the loop. */
  *entries(store: ValueReader, range: Range<K> = {}): Generator<readonly [K, T]> {
    const base = this.#prefix + (range.prefix ?? "");
    const end = range.before === undefined ? prefixEnd(base) : this.#binary(range.before);
    const bound = range.from ?? range.after;
    const begin = bound === undefined ? base : this.#binary(bound);
    const bounds = range.reverse
      ? { start: base, ...(bound === undefined ? (end ? { end } : {}) : { end: begin }) }
      : { start: begin, ...(end ? { end } : {}) };
    let left = range.limit ?? Number.POSITIVE_INFINITY;
    for (const [key, value] of store.values({ ...bounds, reverse: range.reverse ?? false })) {
      if (!range.reverse && range.after !== undefined && range.from === undefined && key === begin) continue;
      if (left-- <= 0) return;
      yield [this.#key.fromKey(key.slice(1)), value.as(this.#codec)];
    }
  }

  #binary(key: K): string {
    return this.#prefix + this.#key.toKey(key);
  }
}

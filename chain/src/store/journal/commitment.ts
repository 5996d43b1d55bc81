/**
 * What the app hash holds of a journaled store: in the IAVL+ tree of the store `journal`, for every block that wrote
 * an entry which is still current, the root of the tree over the entries it wrote (never changes) and which of them are
 * current (changes as they are overwritten or deleted). Together they say exactly which entries the store has.
 */
import { KaratError } from "@karat/common";
import { ByteReader } from "../codec.ts";

/** Name of the IAVL+ store of the commitments of all journaled stores. */
export const JOURNAL_STORE = "journal";

const ROOT = 0;
const LIVE = 1;

/** name, 0x00, height (8 bytes, big-endian), 0: the root of what the block wrote. */
export const rootKey = (name: string, height: number): Uint8Array => keyOf(name, height, ROOT);
/** name, 0x00, height (8 bytes, big-endian), 1: which of it is current. */
export const liveKey = (name: string, height: number): Uint8Array => keyOf(name, height, LIVE);

/** All keys of a store, in order of their heights. */
export const keysOf = (name: string): { start: Uint8Array; end: Uint8Array } => ({
  start: Buffer.from(`${name}\0`, "latin1"),
  end: Buffer.from(`${name}\x01`, "latin1"),
});

/** Height of a key and whether it is the one of the root. Throws `corrupt_store`. */
export function decodeKey(key: Uint8Array): { height: number; root: boolean } {
  if (key.length < 10 || key.at(-10) !== 0 || key.at(-1)! > LIVE) {
    throw new KaratError("corrupt_store", "a commitment of the journal has another key");
  }
  const view = Buffer.from(key.buffer, key.byteOffset, key.length);
  return { height: Number(view.readBigUInt64BE(key.length - 9)), root: view.at(-1) === ROOT };
}

function keyOf(name: string, height: number, kind: number): Uint8Array {
  const key = Buffer.alloc(name.length + 10);
  key.write(name, "latin1");
  key.writeBigUInt64BE(BigInt(height), name.length + 1);
  key[key.length - 1] = kind;
  return new Uint8Array(key.buffer, key.byteOffset, key.length);
}

/** One bit per leaf of a block, set while what it wrote is current. Encoded as the number of leaves (varint), then bytes, the lowest bit first. */
export class LiveSet {
  readonly size: number;
  readonly #bits: Uint8Array;

  private constructor(size: number, bits: Uint8Array) {
    this.size = size;
    this.#bits = bits;
  }

  static full(size: number): LiveSet {
    const bits = new Uint8Array(Math.ceil(size / 8)).fill(0xff);
    if (size % 8 !== 0) bits[bits.length - 1] = (1 << (size % 8)) - 1;
    return new LiveSet(size, bits);
  }

  /** Throws `corrupt_store`. */
  static decode(bytes: Uint8Array): LiveSet {
    const reader = new ByteReader(bytes);
    const size = reader.uvarint();
    const bits = reader.rest().slice();
    if (bits.length !== Math.ceil(size / 8))
      throw new KaratError("corrupt_store", "a set of live entries is malformed");
    return new LiveSet(size, bits);
  }

  encode(): Uint8Array {
    const head: number[] = [];
    let rest = this.size;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) head.push((rest % 0x80) | 0x80);
    return Uint8Array.of(...head, rest, ...this.#bits);
  }

  has(index: number): boolean {
    return index < this.size && (this.#bits[index >>> 3]! & (1 << (index & 7))) !== 0;
  }

  clear(index: number): void {
    if (!this.has(index)) throw new KaratError("corrupt_store", "an entry is current twice", { index });
    this.#bits[index >>> 3]! &= ~(1 << (index & 7));
  }

  get empty(): boolean {
    return this.#bits.every((byte) => byte === 0);
  }

  *[Symbol.iterator](): Generator<number> {
    for (let index = 0; index < this.size; index++) if (this.has(index)) yield index;
  }
}

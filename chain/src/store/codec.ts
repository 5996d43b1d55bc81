import { KaratError } from "@karat/common";
import type { Version } from "./backend.ts";
import { writeUvarint } from "./bytes.ts";
import { Node, Ref } from "./iavl/node.ts";

/** Reads what ByteWriter wrote. Running past the end throws `corrupt_store`, or what `fail` makes. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #fail: () => Error;
  offset = 0;

  constructor(bytes: Uint8Array, fail: () => Error = () => new KaratError("corrupt_store", "a record is malformed")) {
    this.#bytes = bytes;
    this.#fail = fail;
  }

  get done(): boolean {
    return this.offset >= this.#bytes.length;
  }

  byte(): number {
    const value = this.#bytes[this.offset++];
    if (value === undefined) throw this.#fail();
    return value;
  }

  /** A varint of at most 2^53 - 1. */
  uvarint(): number {
    let value = 0;
    let unit = 1;
    for (let i = 0; i < 8; i++) {
      const byte = this.byte();
      value += (byte & 0x7f) * unit;
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) break;
        return value;
      }
      unit *= 0x80;
    }
    throw this.#fail();
  }

  /** A view, not a copy. */
  bytes(length: number): Uint8Array {
    const end = this.offset + length;
    if (end > this.#bytes.length) throw this.#fail();
    const view = this.#bytes.subarray(this.offset, end);
    this.offset = end;
    return view;
  }

  rest(): Uint8Array {
    return this.bytes(this.#bytes.length - this.offset);
  }
}

/** Appends to a buffer that grows and is used again after `reset`. */
export class ByteWriter {
  #buffer: Uint8Array;
  length = 0;

  constructor(capacity = 4096) {
    this.#buffer = new Uint8Array(capacity);
  }

  reset(): this {
    this.length = 0;
    return this;
  }

  byte(value: number): this {
    this.#room(1);
    this.#buffer[this.length++] = value;
    return this;
  }

  uvarint(value: number): this {
    this.#room(10);
    this.length = writeUvarint(this.#buffer, this.length, value);
    return this;
  }

  bytes(value: Uint8Array): this {
    this.#room(value.length);
    this.#buffer.set(value, this.length);
    this.length += value.length;
    return this;
  }

  /** What was written, valid until the next write or reset. */
  view(): Uint8Array {
    return this.#buffer.subarray(0, this.length);
  }

  #room(more: number): void {
    if (this.length + more <= this.#buffer.length) return;
    const larger = new Uint8Array(Math.max(this.#buffer.length * 2, this.length + more));
    larger.set(this.view());
    this.#buffer = larger;
  }
}

const LEAF = 0;
const INNER = 1;
const HASH_BYTES = 32;

/**
 * leaf: 0, version, len|key, value. inner: 1, version, len|key, left, right. Integers are varints.
 * An inner node carries hash, height and size of its children, so that a path is read without its siblings.
 */
export function encodeNode(out: ByteWriter, node: Node): Uint8Array {
  const leaf = node.value !== undefined;
  out.reset();
  out.byte(leaf ? LEAF : INNER);
  out.uvarint(node.version).uvarint(node.key.length).bytes(node.key);
  if (leaf) out.bytes(node.value);
  else {
    encodeRef(out, node.left!);
    encodeRef(out, node.right!);
  }
  return out.view();
}

export function decodeNode(bytes: Uint8Array): Node {
  const reader = new ByteReader(bytes);
  const kind = reader.byte();
  const version = reader.uvarint();
  const key = reader.bytes(reader.uvarint());
  if (kind === LEAF) return new Node(key, reader.rest(), version);
  return new Node(key, undefined, version, decodeRef(reader), decodeRef(reader));
}

function encodeRef(out: ByteWriter, ref: Ref): void {
  out.uvarint(ref.id).byte(ref.height).uvarint(ref.size).bytes(ref.hash);
}

function decodeRef(reader: ByteReader): Ref {
  const id = reader.uvarint();
  const height = reader.byte();
  const size = reader.uvarint();
  return new Ref(id, reader.bytes(HASH_BYTES), height, size);
}

/** appHash, then per store: len|name, 0 or 1|root. */
export function encodeVersion(out: ByteWriter, version: Version): Uint8Array {
  out.reset().bytes(version.appHash);
  for (const [name, root] of version.roots) {
    const bytes = Buffer.from(name, "utf8");
    out
      .uvarint(bytes.length)
      .bytes(bytes)
      .byte(root === undefined ? 0 : 1);
    if (root !== undefined) encodeRef(out, root);
  }
  return out.view();
}

export function decodeVersion(height: number, bytes: Uint8Array): Version {
  const reader = new ByteReader(bytes);
  const appHash = reader.bytes(HASH_BYTES);
  const roots = new Map<string, Ref | undefined>();
  while (!reader.done) {
    const name = Buffer.from(reader.bytes(reader.uvarint())).toString("utf8");
    roots.set(name, reader.byte() === 0 ? undefined : decodeRef(reader));
  }
  return { height, appHash, roots };
}

/** Big-endian, so that byte order is numeric order. */
export function heightKey(value: number, second?: number): Uint8Array {
  const key = Buffer.alloc(second === undefined ? 8 : 12);
  key.writeBigUInt64BE(BigInt(value));
  if (second !== undefined) key.writeUInt32BE(second, 8);
  return key;
}

export const heightOfKey = (key: Uint8Array): number =>
  Number(Buffer.from(key.buffer, key.byteOffset, key.length).readBigUInt64BE());

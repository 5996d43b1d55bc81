import { KaratError } from "@karat/common";
import { plain } from "../bytes.ts";

/** Parts of any length one after the other, reached by index: count, end of each part (u32), the parts. */
export function pack(parts: readonly Uint8Array[]): Buffer {
  const head = 4 + 4 * parts.length;
  const out = Buffer.allocUnsafe(parts.reduce((sum, part) => sum + part.length, head));
  out.writeUInt32LE(parts.length, 0);
  let at = head;
  parts.forEach((part, index) => {
    out.set(part, at);
    at += part.length;
    out.writeUInt32LE(at, 4 + 4 * index);
  });
  return out;
}

export class Packed {
  readonly #bytes: Buffer;
  readonly size: number;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.size = bytes.length < 4 ? -1 : this.#bytes.readUInt32LE(0);
    if (this.size < 0 || 4 + 4 * this.size > bytes.length) {
      throw new KaratError("corrupt_store", "a record of the journal is malformed");
    }
  }

  at(index: number): Uint8Array {
    const start = index === 0 ? 4 + 4 * this.size : this.#bytes.readUInt32LE(4 * index);
    return plain(this.#bytes.subarray(start, this.#bytes.readUInt32LE(4 + 4 * index)));
  }
}

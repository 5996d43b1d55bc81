import { KaratError } from "@karat/common";

/** Larger than any block CometBFT allows (100 MB), with room for what surrounds it. */
export const MAX_FRAME_BYTES = 128 * 1024 * 1024;
/** A 64-bit varint has at most this many bytes. */
const MAX_LENGTH_BYTES = 10;

/** One message on the ABCI socket: its length as an unsigned varint, then its bytes. */
export function encodeFrame(message: Uint8Array): Uint8Array {
  const length: number[] = [];
  let rest = message.length;
  for (; rest >= 128; rest = Math.floor(rest / 128)) length.push((rest % 128) | 128);
  length.push(rest);
  return Buffer.concat([Uint8Array.from(length), message]);
}

/** Cuts a byte stream into messages. What is kept between calls is one incomplete message at most. */
export class FrameDecoder {
  #chunks: Uint8Array[] = [];
  #bytes = 0;
  /** Bytes the next message needs, length prefix included; 0 while its length is unknown. */
  #needed = 0;

  /**
   * The messages that are complete with this chunk. Throws `abci/bad-frame` when a length is over the limit or not a varint:
   * the stream cannot be read on.
   */
  push(chunk: Uint8Array): Uint8Array[] {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes < this.#needed) return [];
    let all = Buffer.concat(this.#chunks);
    const messages: Uint8Array[] = [];
    while (true) {
      const prefix = readLength(all);
      this.#needed = prefix ? prefix.bytes + prefix.length : 0;
      if (!prefix || all.length < this.#needed) break;
      messages.push(all.subarray(prefix.bytes, this.#needed));
      all = all.subarray(this.#needed);
    }
    this.#chunks = all.length > 0 ? [all] : [];
    this.#bytes = all.length;
    return messages;
  }
}

function readLength(buffer: Uint8Array): { length: number; bytes: number } | undefined {
  let length = 0;
  for (let at = 0; at < buffer.length; at++) {
    if (at >= MAX_LENGTH_BYTES) throw new KaratError("abci/bad-frame", "a length prefix does not end");
    const byte = buffer[at]!;
    length += (byte & 127) * 128 ** at;
    if (length > MAX_FRAME_BYTES) throw new KaratError("abci/bad-frame", "a message is too long", { length });
    if (byte < 128) return { length, bytes: at + 1 };
  }
  return undefined;
}

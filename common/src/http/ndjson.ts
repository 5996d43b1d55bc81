import { KaratError } from "../errors.ts";

const LINE_FEED = 0x0a;

/**
 * The values of newline-delimited JSON as its bytes come. Throws `malformed_stream` on a line that is not JSON, on one longer than
 * `maxLineBytes`, and on a last line without its end (the sender died while it wrote).
 */
export class NdjsonParser {
  readonly #maxLineBytes: number;
  #pending: Buffer[] = [];
  #length = 0;

  constructor(maxLineBytes: number) {
    this.#maxLineBytes = maxLineBytes;
  }

  /** Appends the values whose lines end in this chunk. Those before a malformed line are appended, too. */
  push(chunk: Uint8Array, values: unknown[]): void {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    let from = 0;
    for (let end = bytes.indexOf(LINE_FEED); end >= 0; end = bytes.indexOf(LINE_FEED, from)) {
      const tail = bytes.subarray(from, end);
      if (this.#length + tail.length > this.#maxLineBytes) throw malformed("a line is too long");
      const line = this.#pending.length === 0 ? tail : Buffer.concat([...this.#pending, tail]);
      this.#pending = [];
      this.#length = 0;
      from = end + 1;
      if (line.length > 0) values.push(parse(line));
    }
    const rest = bytes.subarray(from);
    this.#length += rest.length;
    if (this.#length > this.#maxLineBytes) throw malformed("a line is too long");
    if (rest.length > 0) this.#pending.push(rest);
  }

  /** There are no more bytes. */
  end(): void {
    if (this.#length > 0) throw malformed("it ends in the middle of a line");
  }
}

function parse(line: Buffer): unknown {
  try {
    return JSON.parse(line.toString("utf8"));
  } catch {
    throw malformed("a line is not JSON");
  }
}

const malformed = (reason: string): KaratError =>
  new KaratError("malformed_stream", `The stream cannot be read: ${reason}.`, { reason });

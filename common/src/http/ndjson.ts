import { KaratError } from "../errors.ts";

const LINE_FEED = 0x0a;

/**
 * The values of newline-delimited JSON, one by one as they come. Throws `malformed_stream` on a line that is not JSON, on one longer
 * than `maxLineBytes`, and on a last line without its end (the sender died while it wrote).
 */
export async function* readNdjson(source: AsyncIterable<Uint8Array>, maxLineBytes: number): AsyncGenerator<unknown> {
  let pending: Buffer[] = [];
  let length = 0;
  for await (const chunk of source) {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    let from = 0;
    for (let end = bytes.indexOf(LINE_FEED); end >= 0; end = bytes.indexOf(LINE_FEED, from)) {
      const tail = bytes.subarray(from, end);
      if (length + tail.length > maxLineBytes) throw malformed("a line is too long");
      const line = pending.length === 0 ? tail : Buffer.concat([...pending, tail]);
      pending = [];
      length = 0;
      from = end + 1;
      if (line.length > 0) yield parse(line);
    }
    const rest = bytes.subarray(from);
    length += rest.length;
    if (length > maxLineBytes) throw malformed("a line is too long");
    if (rest.length > 0) pending.push(rest);
  }
  if (length > 0) throw malformed("it ends in the middle of a line");
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

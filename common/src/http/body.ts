import type { IncomingMessage } from "node:http";
import { KaratError } from "../errors.ts";

/**
 * The whole body of a request. Throws `payload_too_large` as soon as more than `maxBytes` are announced or have come, and
 * `request_aborted` when the sender goes away in the middle.
 */
export function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const tooLarge = (): KaratError =>
    new KaratError("payload_too_large", `The body is larger than ${maxBytes} bytes.`, { max_bytes: maxBytes });
  if (Number(request.headers["content-length"] ?? 0) > maxBytes) return Promise.reject(tooLarge());
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    request.on("data", (chunk: Buffer) => {
      length += chunk.length;
      if (length > maxBytes) {
        request.removeAllListeners("data");
        request.resume(); // the rest is thrown away, so that the answer can still be read
        reject(tooLarge());
      } else chunks.push(chunk);
    });
    let ended = false;
    request.on("end", () => {
      ended = true;
      resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, length));
    });
    request.on("error", (error) => reject(aborted(error)));
    // Every request closes in the end; an error is dear, for its stack.
    request.on("close", () => ended || reject(aborted()));
  });
}

const aborted = (cause?: unknown): KaratError =>
  new KaratError("request_aborted", "The sender went away before the end of the body.", {}, cause);

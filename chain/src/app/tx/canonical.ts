import { ChainError, SDK } from "../errors.ts";

interface Codec<T> {
  decode(bytes: Uint8Array): T;
  encode(message: T): { finish(): Uint8Array };
}

/**
 * Decodes bytes that are the one encoding of their message. Unknown fields, fields out of order or twice, padded
 * varints and written defaults all re-encode differently and are refused: whoever relays a transaction cannot change its
 * bytes, and nothing that a signer signed is ignored. Throws `tx_decode`.
 */
export function decodeCanonical<T>(codec: Codec<T>, bytes: Uint8Array, what: string): T {
  let message: T;
  let again: Uint8Array;
  try {
    message = codec.decode(bytes);
    again = codec.encode(message).finish();
  } catch {
    throw new ChainError(SDK.txDecode, `${what} cannot be decoded: tx parse error`);
  }
  if (Buffer.compare(again, bytes) !== 0) {
    throw new ChainError(SDK.txDecode, `${what} is not canonical (unknown, repeated or padded fields): tx parse error`);
  }
  return message;
}

/** NUL ends text inside store keys, so no text of a message may hold it. Throws `invalid_request`. */
export function refuseNul(value: unknown): void {
  if (typeof value === "string") {
    if (value.includes("\0")) throw new ChainError(SDK.invalidRequest, "text must not hold NUL");
  } else if (Array.isArray(value)) {
    if (typeof value[0] === "number") return;
    for (const item of value) refuseNul(item);
  } else if (typeof value === "object" && value !== null && !(value instanceof Uint8Array)) {
    for (const item of Object.values(value)) refuseNul(item);
  }
}

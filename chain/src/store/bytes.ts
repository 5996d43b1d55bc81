/** Byte order: negative, zero or positive as `a` sorts before, with or after `b`. */
export const compareBytes = (a: Uint8Array, b: Uint8Array): number => Buffer.compare(a, b);

export const equalBytes = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

/** A string of one character per byte. These strings sort as their bytes do, and hash faster as Map keys. */
export const toBinary = (bytes: Uint8Array): string => latin1Slice.call(bytes, 0, bytes.length);

// What `toString("latin1")` calls; any Uint8Array will do, and a Buffer over it costs as much again.
const { latin1Slice } = Buffer.prototype;

/** The same memory as a plain Uint8Array: a Buffer's `slice`, `toString` and equality differ, so none leaves the store. */
export const plain = (bytes: Buffer): Uint8Array => new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);

/** The bytes of a binary string, in memory of their own. */
export const fromBinary = (binary: string): Uint8Array => {
  // Keys are short: a loop beats the call.
  if (binary.length > 64) return new Uint8Array(Buffer.from(binary, "latin1"));
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at++) bytes[at] = binary.charCodeAt(at);
  return bytes;
};

/** Writes an unsigned LEB128 varint, at most 2^53, and gives the offset behind it. */
export function writeUvarint(out: Uint8Array, at: number, value: number): number {
  let rest = value;
  let offset = at;
  while (rest >= 0x80) {
    out[offset++] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
  }
  out[offset++] = rest;
  return offset;
}

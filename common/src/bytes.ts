/** Lower-case hex of some bytes. */
export const toHex = (bytes: Uint8Array): string => hexSlice.call(bytes, 0, bytes.length);

// What `toString("hex")` calls; any Uint8Array will do, and a Buffer over it costs as much again.
const { hexSlice } = Buffer.prototype;

/** Bytes of a hex string; throws on an odd length or a character that is not hex. */
export function fromHex(hex: string): Uint8Array {
  if (hex.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(hex)) throw new RangeError("not a hex string");
  return Uint8Array.from(Buffer.from(hex, "hex"));
}

export const toBase64 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64");
export const fromBase64 = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "base64"));
export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

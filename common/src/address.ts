import { hash } from "node:crypto";
import { bech32 } from "@scure/base";
import { sha256 } from "./secp256k1/index.ts";

export const ADDRESS_PREFIX = "karat";
export const DENOM = "ukarat";

const MAX_KNOWN = 10_000;

/** By the bytes of the key, for the same reason as `decoded`. */
const encoded = new Map<string, string>();

/** Cosmos address of a compressed secp256k1 key: bech32 of RIPEMD-160 of SHA-256. */
export function addressOfKey(publicKey: Uint8Array): string {
  const key = Buffer.from(publicKey.buffer, publicKey.byteOffset, publicKey.length).toString("latin1");
  const known = encoded.get(key);
  if (known !== undefined) return known;
  const words = bech32.toWords(Uint8Array.from(hash("ripemd160", sha256(publicKey), "buffer")));
  const address = bech32.encode(ADDRESS_PREFIX, words);
  if (encoded.size === MAX_KNOWN) encoded.clear();
  encoded.set(key, address);
  return address;
}

/** Address of an account that no key controls: the first 20 bytes of SHA-256 of the module's name, as the Cosmos SDK does. */
export function moduleAddress(name: string): string {
  return bech32.encode(ADDRESS_PREFIX, bech32.toWords(sha256(new TextEncoder().encode(name)).slice(0, 20)));
}

/** Decoded before: the same few thousand parties come up in every block. Their bytes are never changed. */
const decoded = new Map<string, Uint8Array>();

/**
 * The 20 bytes of an address; undefined when it is not a karat account address in its canonical (lower-case) form. The bytes are shared: not to
 * be written to.
 */
export function addressBytes(address: string): Uint8Array | undefined {
  const known = decoded.get(address);
  if (known !== undefined) return known;
  const bytes = decodeAddress(address);
  if (bytes === undefined) return undefined;
  if (decoded.size === MAX_KNOWN) decoded.clear();
  decoded.set(address, bytes);
  return bytes;
}

function decodeAddress(address: string): Uint8Array | undefined {
  try {
    const { prefix, words } = bech32.decode(address as `${string}1${string}`, 90);
    const bytes = bech32.fromWords(words);
    return prefix === ADDRESS_PREFIX && bytes.length === 20 && address === address.toLowerCase() ? bytes : undefined;
  } catch {
    return undefined;
  }
}

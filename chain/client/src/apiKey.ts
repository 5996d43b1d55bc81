import { fromBase64, toBase64 } from "@cosmjs/encoding";
import { addressOfKey, KaratError, publicKeyOf, sha256, toHex } from "@karat/common";

const PREFIX = "sk-karat-";
const CHECKSUM_BYTES = 4;

export interface ApiKey {
  readonly privateKey: Uint8Array;
  readonly publicKey: Uint8Array;
  /** Account whose deposit pays. */
  readonly address: string;
}

/**
 * Public halves by the SHA-256 of the private one, which is itself kept nowhere: deriving them is dear, and a client comes again and
 * again.
 */
const derived = new Map<string, Omit<ApiKey, "privateKey">>();
const MAX_DERIVED = 10_000;

const checksum = (key: Uint8Array): Uint8Array => sha256(sha256(key)).subarray(0, CHECKSUM_BYTES);

/** What a client pastes into its OpenAI SDK: the key that signs its authorizations, with a checksum against typing errors. */
export function encodeApiKey(privateKey: Uint8Array): string {
  const bytes = Uint8Array.from([...privateKey, ...checksum(privateKey)]);
  return PREFIX + toBase64(bytes).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** Throws KaratError `invalid_api_key`; the key itself never appears in the error. */
export function decodeApiKey(text: string): ApiKey {
  const invalid = (why: string): KaratError =>
    new KaratError("invalid_api_key", `Not a Karat API key: ${why}. Keys begin with ${PREFIX}.`);
  if (!text.startsWith(PREFIX)) throw invalid("wrong prefix");
  const body = text.slice(PREFIX.length);
  if (!/^[A-Za-z0-9_-]{48}$/.test(body)) throw invalid("wrong length or character");
  const bytes = fromBase64(body.replaceAll("-", "+").replaceAll("_", "/"));
  const privateKey = bytes.slice(0, 32);
  if (checksum(privateKey).some((byte, i) => byte !== bytes[32 + i])) throw invalid("checksum does not match");
  try {
    return { privateKey, ...publicHalf(privateKey) };
  } catch {
    throw invalid("not a secp256k1 key");
  }
}

function publicHalf(privateKey: Uint8Array): Omit<ApiKey, "privateKey"> {
  const digest = toHex(sha256(privateKey));
  const known = derived.get(digest);
  if (known) return known;
  const publicKey = publicKeyOf(privateKey);
  const half = { publicKey, address: addressOfKey(publicKey) };
  if (derived.size === MAX_DERIVED) derived.clear();
  derived.set(digest, half);
  return half;
}

import { KaratError } from "@karat/common";

/** Longest key in bytes. LMDB takes 1978; the limit is ours, so that every backend refuses the same keys. */
export const MAX_KEY_BYTES = 1024;
/** Longest value in bytes: an entry has to fit into one snapshot chunk. */
export const MAX_VALUE_BYTES = 8 * 1024 * 1024;

export const checkKey = (key: Uint8Array): void => checkKeyLength(key.length);

export function checkKeyLength(length: number): void {
  if (length === 0 || length > MAX_KEY_BYTES) {
    throw new KaratError("invalid_key", `a key has 1 to ${MAX_KEY_BYTES} bytes`, { length });
  }
}

export function checkValue(value: Uint8Array): void {
  if (value.length > MAX_VALUE_BYTES) {
    throw new KaratError("invalid_value", `a value has at most ${MAX_VALUE_BYTES} bytes`, { length: value.length });
  }
}

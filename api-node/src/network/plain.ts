import { toHex } from "@karat/common";

/** A protobuf value as the network's JSON: snake_case keys, bytes in hex, 64-bit integers as decimal strings. */
export function plain(value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Uint8Array) return toHex(value);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [snakeCase(key), plain(member)]));
}

/** The enum's name without its prefix, in lower case: INFERENCE_STATUS_STARTED is "started". */
export function enumName(name: string, prefix: string): string {
  return name.replace(`${prefix}_`, "").toLowerCase();
}

const snakeCase = (key: string): string => key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

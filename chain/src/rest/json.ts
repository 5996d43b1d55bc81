/**
 * JSON as grpc-gateway writes it for Cosmos chains: snake_case, 64-bit numbers as strings, bytes in base64, zero values
 * present, an unset message null, `Any` opened with its `@type`.
 */
import { toBase64 } from "@karat/common";
import { anyType } from "./anyTypes.ts";
import type { Formats } from "./formats.ts";

/** Anys within anys: multisig keys of multisig keys. Deeper ones stay closed. */
const MAX_ANY_DEPTH = 4;

/** Fields of a oneof: the one that is not set is left out. */
const ONEOF = new Set(["single", "multi"]);

/**
 * A decoded message as JSON. `formats` says for a field's name (in the message's own spelling) how its value is written where
 * the type of the value does not tell: enums, decimals, durations. It holds for the whole message, not inside an `Any`.
 */
export function toJson(value: unknown, formats: Formats = {}, depth = 0): unknown {
  if (value === undefined || value === null) return null;
  if (typeof value === "bigint") return value.toString();
  if (typeof value !== "object") return value;
  if (value instanceof Uint8Array) return toBase64(value);
  if (Array.isArray(value)) return value.map((item) => toJson(item, formats, depth));
  if (isAny(value)) return anyJson(value, depth);
  if (isTimestamp(value)) return timestampJson(value);
  return fields(value, formats, depth);
}

function fields(message: object, formats: Formats, depth: number): Record<string, unknown> {
  const json: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(message)) {
    if (value === undefined && ONEOF.has(name)) continue;
    json[snakeCase(name)] = format(name, value, formats, depth);
  }
  return json;
}

function format(name: string, value: unknown, formats: Formats, depth: number): unknown {
  const own = formats[name];
  if (own !== undefined && value !== undefined)
    return Array.isArray(value) ? value.map((item) => own(item as never)) : own(value as never);
  // The last page has no next key, which the gateway writes as null.
  if (name === "nextKey" && value instanceof Uint8Array && value.length === 0) return null;
  return toJson(value, formats, depth);
}

interface AnyMessage {
  readonly typeUrl: string;
  readonly value: Uint8Array;
}

const isAny = (value: object): value is AnyMessage =>
  "typeUrl" in value && "value" in value && value.value instanceof Uint8Array && Object.keys(value).length === 2;

function anyJson({ typeUrl, value }: AnyMessage, depth: number): Record<string, unknown> {
  const known = depth < MAX_ANY_DEPTH ? anyType(typeUrl) : undefined;
  if (known === undefined) return { "@type": typeUrl, value: toBase64(value) };
  let message: object;
  try {
    message = known.type.decode(value);
  } catch {
    return { "@type": typeUrl, value: toBase64(value) };
  }
  return { "@type": typeUrl, ...fields(message, known.formats ?? {}, depth + 1) };
}

interface Instant {
  readonly seconds: bigint;
  readonly nanos: number;
}

const isTimestamp = (value: object): value is Instant =>
  "seconds" in value && "nanos" in value && Object.keys(value).length === 2;

/** RFC 3339 in UTC, with as many digits of the second as are not zero. */
export function timestampJson({ seconds, nanos }: Instant): string {
  const second = new Date(Number(seconds) * 1000).toISOString().slice(0, 19);
  const fraction = nanos === 0 ? "" : `.${String(nanos).padStart(9, "0").replace(/0+$/, "")}`;
  return `${second}${fraction}Z`;
}

const snakeCase = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

import { KaratError } from "@karat/common";

/** How a parameter is written. Heights and counts are 64-bit and hence decimal strings in JSON. */
export type ParamKind = "int64" | "string" | "bool" | "bytes" | "hex";
export type ParamTypes = Readonly<Record<string, ParamKind>>;

interface KindValues {
  readonly int64: bigint;
  readonly string: string;
  readonly bool: boolean;
  readonly bytes: Uint8Array;
  readonly hex: Uint8Array;
}
/** Decoded parameters: each may be absent. */
export type Params<T extends ParamTypes> = { readonly [K in keyof T]: KindValues[T[K]] | undefined };

function invalid(reason: string): never {
  throw new KaratError("rpc/invalid-params", reason);
}

const INT = /^-?\d{1,19}$/;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

function int64(text: string): bigint {
  if (!INT.test(text)) invalid(`cannot parse ${JSON.stringify(text)} as a 64-bit integer`);
  const value = BigInt(text);
  return BigInt.asIntN(64, value) === value ? value : invalid(`${text} is out of the range of a 64-bit integer`);
}

function hexBytes(text: string): Uint8Array {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) invalid(`${JSON.stringify(text)} is not hex`);
  return Buffer.from(text, "hex");
}

/** One value of a JSON-RPC call. */
function fromJson(kind: ParamKind, value: unknown): KindValues[ParamKind] | undefined {
  if (value === null || value === undefined) return undefined;
  if (kind === "int64") {
    return typeof value === "string"
      ? int64(value)
      : invalid(`invalid 64-bit integer encoding ${JSON.stringify(JSON.stringify(value))}, expected string`);
  }
  if (kind === "bool") return typeof value === "boolean" ? value : invalid(`${JSON.stringify(value)} is not a boolean`);
  if (typeof value !== "string") return invalid(`${JSON.stringify(value)} is not a string`);
  if (kind === "string") return value;
  if (kind === "hex") return hexBytes(value);
  return BASE64.test(value) ? Buffer.from(value, "base64") : invalid("illegal base64 data");
}

/** One value of a URI call: strings in quotes, bytes as 0x hex or as a quoted string, integers with or without quotes. */
function fromUri(kind: ParamKind, text: string): KindValues[ParamKind] | undefined {
  if (text === "") return undefined;
  if (kind === "int64" && INT.test(text)) return int64(text);
  if (/^0x/i.test(text)) {
    if (kind === "int64" || kind === "bool") invalid(`got a hex string arg, but expected '${kind}'`);
    const bytes = hexBytes(text.slice(2));
    return kind === "string" ? Buffer.from(bytes).toString() : bytes;
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return invalid(`invalid value ${JSON.stringify(text)}: strings must be quoted`);
  }
  const isBytes = kind === "bytes" || kind === "hex";
  return isBytes && typeof value === "string" ? Buffer.from(value) : fromJson(kind, value);
}

/** Decodes a JSON-RPC call's parameters, by name or by position; throws `rpc/invalid-params`. Unknown names are ignored. */
export function jsonParams<T extends ParamTypes>(types: T, params: unknown): Params<T> {
  if (params !== undefined && params !== null && typeof params !== "object") {
    invalid(`unknown type for JSON params: ${typeof params}`);
  }
  const names = Object.keys(types);
  if (Array.isArray(params) && params.length > names.length) {
    invalid(`expected ${names.length} parameters (${JSON.stringify(names)}), got ${params.length}`);
  }
  const given = (name: string, at: number): unknown =>
    Array.isArray(params) ? params[at] : (params as Record<string, unknown> | null | undefined)?.[name];
  return Object.fromEntries(names.map((name, at) => [name, fromJson(types[name]!, given(name, at))])) as Params<T>;
}

/** Decodes a URI call's parameters; throws `rpc/invalid-params`. */
export function uriParams<T extends ParamTypes>(types: T, query: URLSearchParams): Params<T> {
  return Object.fromEntries(
    Object.keys(types).map((name) => [name, fromUri(types[name]!, query.get(name) ?? "")]),
  ) as Params<T>;
}

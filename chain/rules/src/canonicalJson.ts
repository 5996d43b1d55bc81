import { RuleError } from "./errors.ts";

const MAX_DEPTH = 64;

/**
 * RFC 8785 (JSON Canonicalization Scheme): members sorted by UTF-16 code units, no white space, numbers and strings as
 * ECMAScript writes them. Members whose value is undefined are left out.
 * Throws `invalid_json_value` on what JSON cannot carry (NaN, infinities, bigint, functions, lone surrogates) and
 * beyond 64 levels.
 */
export function canonicalJson(value: unknown): string {
  return write(value, "", 0);
}

function write(value: unknown, path: string, depth: number): string {
  if (depth > MAX_DEPTH) throw refuse(path, "nested too deeply");
  if (value === null || typeof value === "boolean") return String(value);
  if (typeof value === "string") return writeString(value, path);
  if (typeof value === "number") {
    if (!Number.isFinite(value)) throw refuse(path, "not a finite number");
    return JSON.stringify(value);
  }
  if (Array.isArray(value)) return `[${value.map((item, i) => write(item, `${path}[${i}]`, depth + 1)).join(",")}]`;
  if (typeof value === "object") return writeObject(value as Record<string, unknown>, path, depth);
  throw refuse(path, `a ${typeof value} is not JSON`);
}

function writeObject(object: Record<string, unknown>, path: string, depth: number): string {
  const members: string[] = [];
  // Array.prototype.sort without a comparator compares UTF-16 code units, as RFC 8785 §3.2.3 asks.
  for (const key of Object.keys(object).sort()) {
    const member = object[key];
    if (member === undefined) continue;
    const where = path === "" ? key : `${path}.${key}`;
    members.push(`${writeString(key, where)}:${write(member, where, depth + 1)}`);
  }
  return `{${members.join(",")}}`;
}

function writeString(text: string, path: string): string {
  if (!text.isWellFormed()) throw refuse(path, "lone surrogate");
  return JSON.stringify(text);
}

function refuse(path: string, message: string): RuleError {
  return new RuleError("invalid_json_value", path, message);
}

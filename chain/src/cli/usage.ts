import { parseArgs } from "node:util";
import { isKaratError, KaratError, messageOf } from "@karat/common";

/** Mistakes on the command line; the process ends with 2. */
export const usageError = (message: string, data: Record<string, unknown> = {}): KaratError<"usage"> =>
  new KaratError("usage", message, data);

/** Named text options, none of them repeated. Throws `usage` for others, and for those of `required` that are missing. */
export function readOptions<N extends string, R extends N = never>(
  args: readonly string[],
  names: readonly N[],
  required: readonly R[] = [],
): Partial<Record<N, string>> & Record<R, string> {
  let values: Partial<Record<string, string | boolean>>;
  try {
    const options = Object.fromEntries(names.map((name) => [name, { type: "string" as const }]));
    values = parseArgs({ args: [...args], options, strict: true, allowPositionals: false }).values;
  } catch (error) {
    throw usageError(messageOf(error));
  }
  for (const name of required) {
    if (typeof values[name] !== "string" || values[name] === "") throw usageError(`--${name} is missing`, { name });
  }
  return values as Partial<Record<N, string>> & Record<R, string>;
}

/** A whole number within bounds. Throws `usage`. */
export function wholeNumber(text: string, name: string, min: number, max: number): number {
  const value = Number(text);
  if (!/^\d{1,12}$/.test(text) || value < min || value > max) {
    throw usageError(`--${name} is a whole number from ${min} to ${max}`, { name, value: text });
  }
  return value;
}

/** `host:port`. Throws `usage`. */
export function hostAndPort(text: string, name: string): { host: string; port: number } {
  const match = /^(.+):(\d{1,5})$/.exec(text);
  if (match === null || Number(match[2]) > 65_535) throw usageError(`--${name} is host:port`, { name, value: text });
  return { host: match[1]!, port: Number(match[2]) };
}

/** One of some words. Throws `usage`. */
export function oneOf<T extends string>(text: string, name: string, words: readonly T[]): T {
  const word = words.find((candidate) => candidate === text);
  if (word === undefined) throw usageError(`--${name} is one of ${words.join(", ")}`, { name, value: text });
  return word;
}

/** One JSON line for whoever started the process. */
export function announce(event: string, data: Record<string, unknown> = {}): void {
  process.stdout.write(`${JSON.stringify({ event, ...data })}\n`);
}

/** One JSON line on stderr, and the exit status that goes with it. */
export function reportFailure(error: unknown): number {
  const code = isKaratError(error) ? error.code : "unexpected";
  const line = { event: "failed", code, message: messageOf(error), ...(isKaratError(error) && { data: error.data }) };
  const text = JSON.stringify(line, (_, value: unknown) => (typeof value === "bigint" ? value.toString() : value));
  process.stderr.write(`${text}\n`);
  if (code === "unexpected" && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  return code === "usage" ? 2 : 1;
}

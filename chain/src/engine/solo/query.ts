import { KaratError } from "@karat/common";
import { nanosOf, parseTime } from "../consensus/time.ts";

/** CometBFT's query language: conditions joined by AND. Longer queries than this are refused by the RPC. */
export const MAX_QUERY_LENGTH = 512;

export type Operator = "=" | "<" | "<=" | ">" | ">=" | "CONTAINS" | "EXISTS";

export interface Argument {
  readonly kind: "string" | "number" | "time" | "date";
  /** As written, without quotes or keyword. */
  readonly text: string;
}

export interface Condition {
  /** An event attribute, `type.key`. */
  readonly tag: string;
  readonly op: Operator;
  /** Absent for EXISTS only. */
  readonly arg?: Argument;
}

export type Query = readonly Condition[];

/** Heights that are kept. */
export interface Match {
  readonly min: bigint;
  readonly max: bigint;
}

type TokenKind = "tag" | "string" | "number" | "timestamp" | "datestamp" | "AND operator" | `${Operator} operator`;
interface Token {
  readonly kind: TokenKind;
  readonly text: string;
  readonly offset: number;
}

const PATTERNS: readonly (readonly [TokenKind | "operator" | "word", RegExp])[] = [
  ["timestamp", /TIME (\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:\d{2}))/y],
  ["datestamp", /DATE (\d{4}-\d{2}-\d{2})/y],
  ["number", /(\d+(?:\.\d*)?)/y],
  ["string", /'([^']*)'/y],
  ["operator", /(<=|>=|<|>|=)/y],
  ["word", /([\p{L}_][\p{L}\p{N}._/-]*)/uy],
];
const WORD_OPERATORS: Record<string, TokenKind> = {
  AND: "AND operator",
  CONTAINS: "CONTAINS operator",
  EXISTS: "EXISTS operator",
};

function fail(offset: number, reason: string): never {
  throw new KaratError("engine/bad-query", `offset ${offset}: ${reason}`, { offset });
}

function tokens(text: string): Token[] {
  const found: Token[] = [];
  let at = 0;
  scan: while (true) {
    while (/\s/.test(text[at] ?? "")) at++;
    if (at >= text.length) return found;
    for (const [kind, pattern] of PATTERNS) {
      pattern.lastIndex = at;
      const match = pattern.exec(text);
      if (!match) continue;
      const value = match[1]!;
      const named = kind === "operator" ? (`${value} operator` as TokenKind) : (WORD_OPERATORS[value] ?? "tag");
      found.push({ kind: kind === "operator" || kind === "word" ? named : kind, text: value, offset: at });
      at = pattern.lastIndex;
      continue scan;
    }
    fail(at, `invalid character ${JSON.stringify(text[at])}`);
  }
}

const COMPARE: readonly TokenKind[] = [
  "<= operator",
  ">= operator",
  "< operator",
  "> operator",
  "= operator",
  "CONTAINS operator",
  "EXISTS operator",
];
const ARGUMENTS: Partial<Record<TokenKind, Argument["kind"]>> = {
  number: "number",
  timestamp: "time",
  datestamp: "date",
  string: "string",
};

const oneOf = (kinds: readonly string[]) =>
  kinds.length === 1 ? kinds[0] : `${kinds.slice(0, -1).join(", ")} or ${kinds.at(-1)}`;

/** Reads a query; throws `engine/bad-query` with where and what was wrong. There is at least one condition. */
export function parseQuery(text: string): Query {
  const all = tokens(text);
  let next = 0;
  const take = (...wanted: TokenKind[]): Token => {
    const token = all[next++];
    if (token === undefined) return fail(text.length, "EOF");
    return wanted.includes(token.kind) ? token : fail(token.offset, `got ${token.kind}, wanted ${oneOf(wanted)}`);
  };
  const conditions: Condition[] = [];
  while (true) {
    const tag = take("tag").text;
    const op = take(...COMPARE).kind.split(" ")[0] as Operator;
    if (op === "EXISTS") conditions.push({ tag, op });
    else {
      const wanted: TokenKind[] =
        op === "CONTAINS"
          ? ["string"]
          : op === "="
            ? ["number", "timestamp", "datestamp", "string"]
            : ["number", "timestamp", "datestamp"];
      const arg = take(...wanted);
      conditions.push({ tag, op, arg: { kind: ARGUMENTS[arg.kind]!, text: arg.text } });
    }
    if (next === all.length) return conditions;
    take("AND operator");
  }
}

/** -1, 0 or 1 between two non-negative decimals of any length, exactly. */
function compareDecimals(a: string, b: string): number {
  const [aWhole = "", aPart = ""] = a.split(".");
  const [bWhole = "", bPart = ""] = b.split(".");
  const digits = Math.max(aPart.length, bPart.length);
  const x = BigInt(aWhole + aPart.padEnd(digits, "0") || "0");
  const y = BigInt(bWhole + bPart.padEnd(digits, "0") || "0");
  return x < y ? -1 : x > y ? 1 : 0;
}

function compareTimes(value: string, arg: Argument): number | undefined {
  try {
    const full = (text: string) => (arg.kind === "date" ? `${text.slice(0, 10)}T00:00:00Z` : text);
    const a = nanosOf(parseTime(full(value)));
    const b = nanosOf(parseTime(full(arg.text)));
    return a < b ? -1 : a > b ? 1 : 0;
  } catch {
    return undefined;
  }
}

function ordered(op: Operator, comparison: number | undefined): boolean {
  if (comparison === undefined) return false;
  switch (op) {
    case "=":
      return comparison === 0;
    case "<":
      return comparison < 0;
    case "<=":
      return comparison <= 0;
    case ">":
      return comparison > 0;
    case ">=":
      return comparison >= 0;
    default:
      return false;
  }
}

const DECIMAL = /^\d+(\.\d*)?$/;

/** True when a value that is a number as a whole satisfies the condition; equality is numeric. */
export function matchesNumber({ op, arg }: Condition, value: string): boolean {
  if (arg === undefined || !DECIMAL.test(value) || !DECIMAL.test(arg.text)) return false;
  return ordered(op, compareDecimals(value, arg.text));
}

/** The rule of the index: equality is of the text, a range only holds for values that are numbers (or times) as a whole. */
export function matchesText(condition: Condition, value: string): boolean {
  const { op, arg } = condition;
  if (op === "EXISTS" || arg === undefined) return true;
  if (op === "CONTAINS") return value.includes(arg.text);
  if (op === "=") return value === arg.text;
  return arg.kind === "number" ? matchesNumber(condition, value) : ordered(op, compareTimes(value, arg));
}

/** The rule of a subscription: numbers compare by value, and a value such as `12coin` counts as 12. */
export function matchesEvent(condition: Condition, value: string): boolean {
  const { op, arg } = condition;
  if (op === "EXISTS" || arg === undefined) return true;
  if (op === "CONTAINS") return value.includes(arg.text);
  if (arg.kind === "string") return op === "=" && value === arg.text;
  if (arg.kind !== "number") return ordered(op, compareTimes(value, arg));
  const number = /[0-9.]+/.exec(value)?.[0];
  return number !== undefined && matchesNumber(condition, number);
}

/** True when every condition holds for some value of its tag, in whichever event: how subscriptions select. */
export function matchesEvents(query: Query, events: ReadonlyMap<string, readonly string[]>): boolean {
  return query.every(
    (condition) => events.get(condition.tag)?.some((value) => matchesEvent(condition, value)) ?? false,
  );
}

/**
 * JSON values as they are generated: compact, one space allowed behind ':' and ',', numbers with at most 15 digits on either side of the
 * point and without exponents. A subset of JSON that every parser reads alike.
 */
import { byteClass, choice, EMPTY, type Node, oneOf, optional, repeat, sequence, text } from "./node.ts";

export const MOST_DIGITS = 15;
/** Levels of a value of which nothing is said. */
const ANY_DEPTH = 8;

const continuation = byteClass([0x80, 0xbf]);
/** One character of a string: UTF-8 without controls, or an escape. */
const character = choice(
  byteClass([0x20, 0x21], [0x23, 0x5b], [0x5d, 0x7f]),
  sequence(byteClass([0xc2, 0xdf]), continuation),
  sequence(byteClass([0xe0, 0xe0]), byteClass([0xa0, 0xbf]), continuation),
  sequence(byteClass([0xe1, 0xec], [0xee, 0xef]), continuation, continuation),
  sequence(byteClass([0xed, 0xed]), byteClass([0x80, 0x9f]), continuation),
  sequence(byteClass([0xf0, 0xf0]), byteClass([0x90, 0xbf]), continuation, continuation),
  sequence(byteClass([0xf1, 0xf3]), continuation, continuation, continuation),
  sequence(byteClass([0xf4, 0xf4]), byteClass([0x80, 0x8f]), continuation, continuation),
  // No surrogates: half of a pair is no character.
  sequence(text("\\"), choice(oneOf('"\\/bfnrt'), sequence(text("u"), oneOf("0-9a-cA-CefEF"), hexDigits(3)))),
);

function hexDigits(count: number): Node {
  return repeat(oneOf("0-9a-fA-F"), count, count);
}

export const space = optional(text(" "));
export const comma = sequence(text(","), space);
export const colon = sequence(text(":"), space);

/** Lengths in characters, as JSON Schema counts them. */
export const string = (least = 0, most = Number.POSITIVE_INFINITY): Node =>
  sequence(text('"'), repeat(character, least, most), text('"'));

export const boolean = choice(text("true"), text("false"));
export const nothing = text("null");

const digit = oneOf("0-9");
const digits = (least: number, most: number): Node => (most === 0 ? EMPTY : repeat(digit, least, most));
/** Never ends in zero, so it is never empty in value. */
const fraction = (most = MOST_DIGITS): Node => sequence(text("."), digits(0, most - 1), oneOf("1-9"));
const magnitude = sequence(oneOf("1-9"), digits(0, MOST_DIGITS - 1));

export const integer = choice(text("0"), sequence(optional(text("-")), magnitude));
/** Of at most so many digits behind the point. */
export const decimal = (most = MOST_DIGITS): Node =>
  most === 0 ? integer : choice(integer, sequence(optional(text("-")), choice(text("0"), magnitude), fraction(most)));
export const number = decimal();

const MOST = 10n ** BigInt(MOST_DIGITS) - 1n;

/** Integers from `least` to `most`, of at most 15 digits; undefined where there are none. */
export function integersBetween(least: bigint, most: bigint): Node | undefined {
  const alternatives: Node[] = [];
  if (least < 0n) {
    const negative = magnitudes(most < 0n ? -most : 1n, -least);
    if (negative) alternatives.push(sequence(text("-"), negative));
  }
  if (most >= 0n) {
    const positive = magnitudes(least > 0n ? least : 0n, most);
    if (positive) alternatives.push(positive);
  }
  return alternatives.length === 0 ? undefined : choice(...alternatives);
}

/**
 * Numbers between two bounds, of at most `digits` behind the point; those with a fraction between two integers that are both within.
 * Undefined where there are none.
 */
export function numbersBetween(least: bigint, most: bigint, digits = MOST_DIGITS): Node | undefined {
  const alternatives = [integersBetween(least, most)];
  if (digits === 0) return alternatives[0];
  const above = magnitudes(least > 0n ? least : 0n, most - 1n);
  if (most > 0n && above) alternatives.push(sequence(above, fraction(digits)));
  const below = magnitudes(most < 0n ? -most : 0n, -least - 1n);
  if (least < 0n && below) alternatives.push(sequence(text("-"), below, fraction(digits)));
  const present = alternatives.filter((node) => node !== undefined);
  return present.length === 0 ? undefined : choice(...present);
}

/** The numbers strictly between an integer and the next. */
export const fractionsAbove = (below: bigint, digits = MOST_DIGITS): Node =>
  sequence(text(below >= 0n ? String(below) : `-${-below - 1n}`), fraction(digits));

function magnitudes(least: bigint, asked: bigint): Node | undefined {
  const most = asked > MOST ? MOST : asked;
  if (least > most) return undefined;
  const alternatives: Node[] = [];
  for (let length = String(least).length; length <= String(most).length; length++) {
    const first = length === 1 ? 0n : 10n ** BigInt(length - 1);
    const last = 10n ** BigInt(length) - 1n;
    alternatives.push(sameLength(String(least > first ? least : first), String(most < last ? most : last)));
  }
  return choice(...alternatives);
}

/** Decimal numbers of one length between two of them. */
function sameLength(least: string, most: string): Node {
  if (least === most) return text(least);
  const rest = least.length - 1;
  if (/^0*$/.test(least) && /^9*$/.test(most)) return digits(rest + 1, rest + 1);
  const [low, high] = [Number(least[0]), Number(most[0])];
  if (low === high) return sequence(text(least[0]!), sameLength(least.slice(1), most.slice(1)));
  if (rest === 0) return oneOf(`${low}-${high}`);
  const alternatives: Node[] = [];
  const from = /^0*$/.test(least.slice(1)) ? low : low + 1;
  const to = /^9*$/.test(most.slice(1)) ? high : high - 1;
  if (from > low) alternatives.push(sequence(text(String(low)), sameLength(least.slice(1), "9".repeat(rest))));
  if (from <= to) alternatives.push(sequence(oneOf(`${from}-${to}`), digits(rest, rest)));
  if (to < high) alternatives.push(sequence(text(String(high)), sameLength("0".repeat(rest), most.slice(1))));
  return choice(...alternatives);
}

export function array(item: Node, least = 0, most = Number.POSITIVE_INFINITY): Node {
  if (most === 0) return text("[]");
  const further = repeat(sequence(comma, item), Math.max(0, least - 1), most - 1);
  const some = most === 1 ? item : sequence(item, further);
  return sequence(text("["), least === 0 ? optional(some) : some, text("]"));
}

/** An object of any keys. */
export const map = (value: Node): Node => {
  const member = sequence(string(), colon, value);
  return sequence(
    text("{"),
    optional(sequence(member, repeat(sequence(comma, member), 0, Number.POSITIVE_INFINITY))),
    text("}"),
  );
};

export interface Property {
  readonly name: string;
  readonly value: Node;
  readonly required: boolean;
}

/** An object of these properties in this order. */
export function object(properties: readonly Property[]): Node {
  const members: [Node, Node][] = [[EMPTY, EMPTY]];
  for (const { name, value, required } of properties.toReversed()) {
    const [first, later] = members[0]!;
    const member = sequence(text(JSON.stringify(name)), colon, value, later);
    const behind = sequence(comma, member);
    members.unshift(required ? [member, behind] : [choice(member, first), choice(behind, later)]);
  }
  return sequence(text("{"), members[0]![0], text("}"));
}

const anyAt = (depth: number): Node =>
  depth === 0
    ? choice(string(), number, boolean, nothing)
    : choice(string(), number, boolean, nothing, array(below(depth)), map(below(depth)));
const below = (depth: number): Node => levels[depth - 1]!;
const levels: Node[] = [];
for (let depth = 0; depth <= ANY_DEPTH; depth++) levels.push(anyAt(depth));

export const anyValue = levels[ANY_DEPTH]!;
export const anyObject = map(levels[ANY_DEPTH - 1]!);

/** A JSON value as text, exactly. */
export const literal = (value: unknown): Node => text(JSON.stringify(value));

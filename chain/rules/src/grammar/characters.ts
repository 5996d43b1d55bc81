/** Sets of Unicode characters, and how each is spelled within a JSON string: exactly one way, that of `JSON.stringify`. */
import { byteClass, choice, type Node, sequence, text } from "./node.ts";

type Range = readonly [from: number, to: number];
/** Ranges of code points in their order, apart from each other, without surrogates. */
export type Characters = readonly Range[];

const LAST = 0x10ffff;
const SURROGATES: Range = [0xd800, 0xdfff];

/** Any ranges of code points as a set. */
export function charactersOf(...ranges: readonly Range[]): Characters {
  const whole = ranges.flatMap(([from, to]): Range[] =>
    to < SURROGATES[0] || from > SURROGATES[1]
      ? [[from, to]]
      : [[from, SURROGATES[0] - 1] as const, [SURROGATES[1] + 1, to] as const].filter(([low, high]) => low <= high),
  );
  whole.sort((a, b) => a[0] - b[0]);
  const merged: [number, number][] = [];
  for (const [from, to] of whole) {
    const last = merged.at(-1);
    if (last && from <= last[1] + 1) last[1] = Math.max(last[1], to);
    else merged.push([from, to]);
  }
  return merged;
}

export function complementOf(characters: Characters): Characters {
  const ranges: Range[] = [];
  let from = 0;
  for (const [low, high] of characters) {
    if (low > from) ranges.push([from, low - 1]);
    from = high + 1;
  }
  if (from <= LAST) ranges.push([from, LAST]);
  return charactersOf(...ranges);
}

export const includes = (characters: Characters, code: number): boolean =>
  characters.some(([from, to]) => code >= from && code <= to);

const of = (spec: string): Characters =>
  charactersOf(...[...spec].map((c): Range => [c.codePointAt(0)!, c.codePointAt(0)!]));

export const ANY = complementOf([]);
export const DIGIT = charactersOf([0x30, 0x39]);
export const WORD = charactersOf(...DIGIT, [0x41, 0x5a], [0x61, 0x7a], [0x5f, 0x5f]);
export const LINE_END = of("\n\r\u2028\u2029");
/** White space and line ends of ECMAScript. */
export const SPACE = charactersOf(...LINE_END, ...of("\t\v\f \u00a0\u1680\u202f\u205f\u3000\ufeff"), [0x2000, 0x200a]);

/** Last code points of one, two, three and four bytes. */
const LENGTHS = [0x7f, 0x7ff, 0xffff, LAST];
const encoder = new TextEncoder();

/** One character of a set within a JSON string. */
export function spelled(characters: Characters): Node {
  const plain: Range[] = [];
  const alternatives: Node[] = [];
  for (const [from, to] of characters) {
    for (let code = from; code <= Math.min(to, LENGTHS[0]!); code++) {
      const spelling = JSON.stringify(String.fromCharCode(code)).slice(1, -1);
      if (spelling.length > 1) alternatives.push(text(spelling));
      else plain.push([code, code]);
    }
    for (let length = 1; length < LENGTHS.length; length++) {
      const [low, high] = [Math.max(from, LENGTHS[length - 1]! + 1), Math.min(to, LENGTHS[length]!)];
      if (low <= high) alternatives.push(...encoded(low, high, length));
    }
  }
  return choice(...(plain.length > 0 ? [byteClass(...charactersOf(...plain))] : []), ...alternatives);
}

/** UTF-8 of the code points of one length, `more` bytes behind the first: split until each byte has a range of its own. */
function encoded(from: number, to: number, more: number): Node[] {
  for (let bytes = 1; bytes <= more; bytes++) {
    const rest = 2 ** (6 * bytes) - 1;
    if (from >> (6 * bytes) === to >> (6 * bytes)) break;
    if ((from & rest) !== 0) return [...encoded(from, from | rest, more), ...encoded((from | rest) + 1, to, more)];
    if ((to & rest) !== rest) return [...encoded(from, (to & ~rest) - 1, more), ...encoded(to & ~rest, to, more)];
  }
  const [low, high] = [from, to].map((code) => encoder.encode(String.fromCodePoint(code))) as [Uint8Array, Uint8Array];
  return [sequence(...[...low].map((byte, i) => byteClass([byte, high[i]!])))];
}

/** A small vocabulary, and answers that a model without any sense would write in it. */
import type { Node } from "./node.ts";
import { ConstrainedAnswer, TokenGrammar } from "./tokenConstraint.ts";
import { VocabularyIndex } from "./vocabulary.ts";

/** Every byte, some longer tokens (whole words, JSON punctuation, halves of characters), a control token, two stop tokens. */
const LONGER = [
  '{"',
  '":',
  '": "',
  '", "',
  '"}',
  "true",
  "null",
  "name",
  "00",
  "12",
  "\u00e9",
  "<tool",
  "_call",
  ">\n",
  " {",
  "},",
  "]}",
  "abc",
];
export const pieces = [
  ...Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte)),
  ...LONGER.map((text) => new TextEncoder().encode(text)),
  Uint8Array.of(0xe2, 0x82),
  new Uint8Array(),
  new Uint8Array(),
  new Uint8Array(),
];
export const [CONTROL, STOP, OTHER_STOP] = [pieces.length - 3, pieces.length - 2, pieces.length - 1];
export const vocabulary = new VocabularyIndex({
  size: pieces.length,
  stopTokenIds: [STOP, OTHER_STOP],
  bytesOf: (id) => pieces[id]!,
});

/** A small generator of numbers (mulberry32), so that a failing walk is repeated by its seed. */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** What a model without any sense would write. */
export function walk(root: Node, seed: number, maxTokens: number): { text: string; stopped: boolean; ids: number[] } {
  const answer = new ConstrainedAnswer(new TokenGrammar(root, vocabulary, "schema"), new Map(), vocabulary, maxTokens);
  const next = random(seed);
  const ids: number[] = [];
  while (ids.length < maxTokens) {
    const allowed = answer.next()!;
    if (allowed.count === 0) throw new Error("no token is allowed");
    const id = allowed.ids[Math.floor(next() * allowed.count)]!;
    answer.accept(id);
    ids.push(id);
    if (id === STOP || id === OTHER_STOP) break;
  }
  const bytes = ids.flatMap((id) => [...pieces[id]!]);
  const stopped = ids.at(-1) === STOP || ids.at(-1) === OTHER_STOP;
  // What a maximum cuts off may end within a character.
  return { text: new TextDecoder("utf-8", { fatal: stopped }).decode(Uint8Array.from(bytes)), stopped, ids };
}

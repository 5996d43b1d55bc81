import type { Random } from "../random.ts";

/** Protobuf bytes, changed in one of the ways that parsers trip over. */
export function mutate(random: Random, bytes: Uint8Array, other: Uint8Array): Uint8Array {
  return random.pick(MUTATIONS)(random, bytes, other);
}

type Mutation = (random: Random, bytes: Uint8Array, other: Uint8Array) => Uint8Array;

const join = (...parts: readonly (Uint8Array | readonly number[])[]): Uint8Array =>
  Uint8Array.from(parts.flatMap((part) => [...part]));

/** `bytes` with `insert` at a random place. */
const inserted = (random: Random, bytes: Uint8Array, insert: readonly number[] | Uint8Array): Uint8Array => {
  const at = random.int(bytes.length + 1);
  return join(bytes.subarray(0, at), insert, bytes.subarray(at));
};

/** 2^63 and more as lengths and numbers, overlong zeros, and a varint that never ends. */
const NUMBERS: readonly (readonly number[])[] = [
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
  [0xff, 0xff, 0xff, 0xff, 0x0f],
  [0xff, 0xff, 0xff, 0xff, 0x07],
  [0x80, 0x80, 0x00],
  new Array<number>(12).fill(0x80),
];

const MUTATIONS: readonly Mutation[] = [
  function flipBits(random, bytes) {
    const changed = Uint8Array.from(bytes);
    const flips = random.between(1, 4);
    for (let i = 0; i < flips; i++) changed[random.int(changed.length)]! ^= 1 << random.int(8);
    return changed;
  },
  function truncate(random, bytes) {
    return bytes.slice(0, random.int(bytes.length));
  },
  function repeatPart(random, bytes) {
    const from = random.int(bytes.length);
    return inserted(random, bytes, bytes.subarray(from, from + random.between(1, 40)));
  },
  function repeatAll(_, bytes) {
    return join(bytes, bytes);
  },
  function unknownField(random, bytes) {
    const tag = random.pick([[0xf8, 0x07], [0xfa, 0x7f], [0x0b], [0x0c], [0x07]]);
    return random.percent(50) ? join(bytes, tag, [1, 0]) : inserted(random, bytes, [...tag, 1, 0]);
  },
  function hugeNumber(random, bytes) {
    const at = random.int(bytes.length);
    return join(bytes.subarray(0, at), random.pick(NUMBERS), bytes.subarray(at + 1));
  },
  function removePart(random, bytes) {
    const at = random.int(bytes.length);
    return join(bytes.subarray(0, at), bytes.subarray(at + random.between(1, 30)));
  },
  function splice(random, bytes, other) {
    return join(bytes.subarray(0, random.int(bytes.length)), other.subarray(random.int(other.length)));
  },
  function invalidText(random, bytes) {
    const changed = Uint8Array.from(bytes);
    changed.set([0xc3, 0x28].slice(0, changed.length), random.int(Math.max(1, changed.length - 1)));
    return changed;
  },
  function zeros(random, bytes) {
    const changed = Uint8Array.from(bytes);
    const from = random.int(changed.length);
    return changed.fill(0, from, from + random.between(1, 64));
  },
  function deepNesting(random, bytes) {
    let nested = new Uint8Array([0x0a, 0x00]);
    for (let depth = random.between(20, 100); depth > 0; depth--) {
      nested = join([0x0a], varint(nested.length), nested) as typeof nested;
    }
    return join(bytes, nested);
  },
];

function varint(value: number): number[] {
  const encoded: number[] = [];
  let rest = value;
  for (; rest >= 128; rest >>>= 7) encoded.push((rest & 127) | 128);
  return [...encoded, rest];
}

/**
 * Sets whose members come and go in crowds, such as what is due at a height, are kept as buckets: one entry of the store holds all
 * members of a height. Keys of such sets begin with a byte from BUCKETS on and 8 bytes that name the bucket; what follows is the
 * member, of the same length throughout a bucket. The state machine reads and writes members as if each were an entry of its own;
 * the store has an entry per bucket, which a block writes at most once.
 */
import { KaratError } from "@karat/common";
import { fromBinary, toBinary } from "./bytes.ts";
import type { Write } from "./overlay.ts";
import type { KeyRange, ValueReader } from "./types.ts";
import { type Codec, Value } from "./value.ts";

/** Added to the prefix of a table: its keys are members of buckets, its values say nothing. */
export const BUCKETS = 0x80;
const NAME_CHARS = 9;
const MAX_MEMBER_BYTES = 255;

const isMember = (key: string): boolean => key.charCodeAt(0) >= BUCKETS;
/** The key of the bucket that a member is in. */
const bucketOf = (key: string): string => key.slice(0, NAME_CHARS);
const memberOf = (key: string): string => key.slice(NAME_CHARS);

/** What a member reads as. */
const MEMBER = Value.encoded(Uint8Array.of(1));

/** Sorted members of one length, as that length (a byte) and the members. */
const bucketCodec: Codec<readonly string[]> = {
  encode(members) {
    const width = members[0]?.length ?? 0;
    if (width === 0 || width > MAX_MEMBER_BYTES || members.some(({ length }) => length !== width)) {
      throw new KaratError("invalid_key", `members of a bucket have one length of 1 to ${MAX_MEMBER_BYTES} bytes`);
    }
    return fromBinary(String.fromCharCode(width) + members.join(""));
  },
  decode(bytes) {
    const binary = toBinary(bytes);
    const width = binary.charCodeAt(0);
    if (!(width > 0) || (binary.length - 1) % width !== 0) throw new KaratError("corrupt_store", "a malformed bucket");
    return Array.from({ length: (binary.length - 1) / width }, (_, i) =>
      binary.slice(1 + i * width, 1 + (i + 1) * width),
    );
  },
};

/** The same writes with those of members replaced by one for each bucket. `changes` and result are sorted by key. */
export function toBuckets(changes: readonly Write[], entries: Pick<ValueReader, "value">): Write[] {
  const writes: Write[] = [];
  for (let at = 0; at < changes.length; ) {
    const [key] = changes[at]!;
    if (!isMember(key)) {
      writes.push(changes[at++]!);
      continue;
    }
    const name = bucketOf(key);
    const first = at;
    while (at < changes.length && changes[at]![0].startsWith(name)) at++;
    const members = merge(entries.value(name)?.as(bucketCodec) ?? [], changes.slice(first, at));
    writes.push([name, members.length === 0 ? null : Value.of(bucketCodec, members)]);
  }
  return writes;
}

function merge(members: readonly string[], changes: readonly Write[]): string[] {
  const merged: string[] = [];
  let at = 0;
  for (const [key, value] of changes) {
    const member = memberOf(key);
    while (at < members.length && members[at]! < member) merged.push(members[at++]!);
    if (members[at] === member) at++;
    if (value !== null) merged.push(member);
  }
  for (; at < members.length; at++) merged.push(members[at]!);
  return merged;
}

/** The entries of a store, with buckets as their members. */
export class Members implements ValueReader {
  readonly #entries: ValueReader;

  constructor(entries: ValueReader) {
    this.#entries = entries;
  }

  value(key: string): Value | undefined {
    if (!isMember(key)) return this.#entries.value(key);
    return this.#entries.value(bucketOf(key))?.as(bucketCodec).includes(memberOf(key)) ? MEMBER : undefined;
  }

  *values(range: KeyRange = {}): Generator<readonly [string, Value]> {
    const { start = "", end, reverse = false } = range;
    for (const [key, value] of this.#entries.values(boundsOf(range))) {
      if (!isMember(key)) {
        yield [key, value];
        continue;
      }
      const members = value.as(bucketCodec);
      for (const member of reverse ? members.toReversed() : members) {
        const full = key + member;
        if (full >= start && (end === undefined || full < end)) yield [full, MEMBER];
      }
    }
  }
}

const ZEROS = /^\0*$/;

/** Bounds of the entries of which a range has something: the bucket that `end` is in has, unless no member can be before it. */
function boundsOf({ start, end, reverse = false }: KeyRange): KeyRange {
  const whole = end === undefined || !isMember(end);
  const last = whole ? end : ZEROS.test(memberOf(end)) ? bucketOf(end) : `${bucketOf(end)}\0`;
  return {
    ...(start !== undefined && { start: isMember(start) ? bucketOf(start) : start }),
    ...(last !== undefined && { end: last }),
    reverse,
  };
}

/**
 * What comes and goes in crowds, such as what is due at a height, is kept in buckets: one entry of the store holds all members of a
 * height. Keys of such tables begin with a byte from BUCKETS on and 8 bytes that name the bucket; what follows is the member. Members
 * of a bucket are of one length, and so are their values. The state machine reads and writes members as if each were an entry of its
 * own; the store has an entry per bucket, which a block writes at most once.
 */
import { KaratError } from "@karat/common";
import { fromBinary, toBinary } from "./bytes.ts";
import type { Write } from "./overlay.ts";
import { lowerBound } from "./sortedKeys.ts";
import type { KeyRange, ValueReader } from "./types.ts";
import { type Codec, Value } from "./value.ts";

/** Added to the prefix of a table: its keys are members of buckets. */
export const BUCKETS = 0x80;
const NAME_CHARS = 9;
/** Of a member, and of its value. */
const MAX_PART_BYTES = 255;

const isMember = (key: string): boolean => key.charCodeAt(0) >= BUCKETS;
/** The key of the bucket that a member is in. */
const bucketOf = (key: string): string => key.slice(0, NAME_CHARS);
const memberOf = (key: string): string => key.slice(NAME_CHARS);

/** Members with their values behind them, as binary strings, sorted; `width` is the length of a member without its value. */
interface Bucket {
  readonly width: number;
  readonly members: readonly string[];
}

const EMPTY: Bucket = { width: 0, members: [] };

/** The length of a member and of its value (a byte each), then all of them. */
const bucketCodec: Codec<Bucket> = {
  encode({ width, members }) {
    const whole = members[0]?.length ?? 0;
    if (width === 0 || whole < width || members.some(({ length }) => length !== whole)) {
      throw unequal();
    }
    if (width > MAX_PART_BYTES || whole - width > MAX_PART_BYTES) {
      throw new KaratError("invalid_key", `a member of a bucket, or its value, has more than ${MAX_PART_BYTES} bytes`);
    }
    return fromBinary(String.fromCharCode(width, whole - width) + members.join(""));
  },
  decode(bytes) {
    const binary = toBinary(bytes);
    const width = binary.charCodeAt(0);
    const whole = width + binary.charCodeAt(1);
    if (!(width > 0) || (binary.length - 2) % whole !== 0) throw new KaratError("corrupt_store", "a malformed bucket");
    const members = Array.from({ length: (binary.length - 2) / whole }, (_, i) =>
      binary.slice(2 + i * whole, 2 + (i + 1) * whole),
    );
    return { width, members };
  },
};

const unequal = () => new KaratError("invalid_key", "members of a bucket have one length, and so have their values");

/** What a member without a value reads as. */
const NOTHING = Value.encoded(new Uint8Array());

const valueBehind = (member: string, width: number): Value =>
  member.length === width ? NOTHING : Value.encoded(fromBinary(member.slice(width)));

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
    const width = key.length - NAME_CHARS;
    const before = entries.value(name)?.as(bucketCodec);
    if (before !== undefined && before.width !== width) throw unequal();
    const merged = merge(before?.members ?? [], width, changes.slice(first, at));
    writes.push([name, merged.length === 0 ? null : Value.of(bucketCodec, { width, members: merged })]);
  }
  return writes;
}

function merge(members: readonly string[], width: number, changes: readonly Write[]): string[] {
  const merged: string[] = [];
  let at = 0;
  for (const [key, value] of changes) {
    const member = memberOf(key);
    while (at < members.length && members[at]! < member) merged.push(members[at++]!);
    if (members[at]?.startsWith(member)) at++;
    if (member.length !== width) throw unequal();
    if (value !== null) merged.push(member + toBinary(value.bytes));
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
    const { width, members } = this.#entries.value(bucketOf(key))?.as(bucketCodec) ?? EMPTY;
    const member = memberOf(key);
    const found = members[lowerBound(members, member)];
    return member.length === width && found?.startsWith(member) ? valueBehind(found, width) : undefined;
  }

  *values(range: KeyRange = {}): Generator<readonly [string, Value]> {
    const { start = "", end, reverse = false } = range;
    for (const [key, value] of this.#entries.values(boundsOf(range))) {
      if (!isMember(key)) {
        yield [key, value];
        continue;
      }
      const { width, members } = value.as(bucketCodec);
      for (const member of reverse ? members.toReversed() : members) {
        const full = key + member.slice(0, width);
        if (full >= start && (end === undefined || full < end)) yield [full, valueBehind(member, width)];
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

import { compareBytes, toBinary } from "./bytes.ts";
import { checkKey, checkValue } from "./limits.ts";
import { SortedKeys } from "./sortedKeys.ts";
import type { Change, Range, Reader, Writer } from "./types.ts";

/**
 * Buffered writes over a Reader. A transaction or a message runs in its own overlay: `flushTo` keeps what it did,
 * dropping the overlay rolls it back. Overlays nest.
 *
 * Writing while iterating is defined: writes ahead of the cursor are seen, writes at or behind it are not. The reader
 * underneath must not change while an iteration runs.
 */
export class Overlay implements Writer {
  readonly #parent: Reader;
  readonly #writes = new Map<string, Change>();
  readonly #order = new SortedKeys();

  constructor(parent: Reader) {
    this.#parent = parent;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    const own = this.#writes.get(toBinary(key));
    return own === undefined ? this.#parent.get(key) : own[1];
  }

  has(key: Uint8Array): boolean {
    const own = this.#writes.get(toBinary(key));
    return own === undefined ? this.#parent.has(key) : own[1] !== undefined;
  }

  set(key: Uint8Array, value: Uint8Array): void {
    checkKey(key);
    checkValue(value);
    this.#write(key, value);
  }

  delete(key: Uint8Array): void {
    checkKey(key);
    this.#write(key, undefined);
  }

  *iterate(range: Range = {}): Generator<readonly [Uint8Array, Uint8Array]> {
    const direction = range.reverse === true ? -1 : 1;
    const below = this.#parent.iterate(range)[Symbol.iterator]();
    try {
      let under = below.next();
      let over = this.#step(range, undefined);
      while (!under.done || over !== undefined) {
        const order = under.done ? 1 : over === undefined ? -1 : direction * compareBytes(under.value[0], over[0]);
        // The overlay's entry hides the one underneath, also when it is a deletion.
        const entry: Change = order < 0 && !under.done ? under.value : over!;
        if (order <= 0) under = below.next();
        if (entry[1] !== undefined) yield entry as readonly [Uint8Array, Uint8Array];
        // Looked up anew after each step: the consumer may have written meanwhile.
        over = this.#step(range, toBinary(entry[0]));
      }
    } finally {
      below.return?.();
    }
  }

  /** The number of keys written, deletions included. */
  get size(): number {
    return this.#writes.size;
  }

  /** The writes, sorted by key, each key once: what a ChangeSet wants. */
  changes(): Change[] {
    return Array.from(this.#order, (key) => this.#writes.get(key)!);
  }

  /** Repeats the writes on `writer`, in byte order. */
  flushTo(writer: Writer): void {
    for (const [key, value] of this.changes()) {
      if (value === undefined) writer.delete(key);
      else writer.set(key, value);
    }
  }

  #write(key: Uint8Array, value: Uint8Array | undefined): void {
    const binary = toBinary(key);
    if (!this.#writes.has(binary)) this.#order.add(binary);
    this.#writes.set(binary, [key, value]);
  }

  /** The first own write in the range that lies beyond `passed` in the direction of travel. */
  #step(range: Range, passed: string | undefined): Change | undefined {
    const start = range.start === undefined ? undefined : toBinary(range.start);
    const end = range.end === undefined ? undefined : toBinary(range.end);
    let key: string | undefined;
    if (range.reverse === true) {
      key = this.#order.previous(passed ?? end);
      if (key !== undefined && start !== undefined && key < start) return undefined;
    } else {
      key = this.#order.next(passed ?? start, passed !== undefined);
      if (key !== undefined && end !== undefined && key >= end) return undefined;
    }
    return key === undefined ? undefined : this.#writes.get(key);
  }
}

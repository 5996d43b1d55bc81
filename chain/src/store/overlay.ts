import { compareBytes, toBinary } from "./bytes.ts";
import { checkKey, checkValue } from "./limits.ts";
import { SortedKeys } from "./sortedKeys.ts";
import type { Change, Range, Reader, Writer } from "./types.ts";

/** Most bytes of keys and values that an overlay remembers of the reader below. */
const MAX_REMEMBERED = 32 * 1024 * 1024;

/**
 * Buffered writes over a Reader. A transaction or a message runs in its own overlay: `flushTo` keeps what it did,
 * dropping the overlay rolls it back. Overlays nest.
 *
 * Writing while iterating is defined: writes ahead of the cursor are seen, writes at or behind it are not. The reader
 * underneath must not change while an iteration runs.
 */
export class Overlay implements Writer {
  readonly #parent: Reader;
  readonly #above: Overlay | undefined;
  readonly #writes = new Map<string, Change>();
  readonly #read: Map<string, Uint8Array | undefined> | undefined;
  #room = MAX_REMEMBERED;
  /** Made by the first iteration: most overlays never see one. */
  #order: SortedKeys | undefined;

  /**
   * `remember`: what was read of the parent is not read again, which a block over a committed store gains from, for it reads
   * the same parameters and accounts all the time. The parent must then not change while the overlay is in use.
   */
  constructor(parent: Reader, remember = false) {
    this.#parent = parent;
    this.#read = remember ? new Map() : undefined;
    this.#above = parent instanceof Overlay ? parent : undefined;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return this.#lookup(toBinary(key), key);
  }

  has(key: Uint8Array): boolean {
    const binary = toBinary(key);
    for (let overlay: Overlay = this; ; overlay = overlay.#above) {
      const own = overlay.#writes.get(binary);
      if (own !== undefined) return own[1] !== undefined;
      if (overlay.#above !== undefined) continue;
      return overlay.#read?.get(binary) !== undefined || overlay.#parent.has(key);
    }
  }

  set(key: Uint8Array, value: Uint8Array): void {
    checkKey(key);
    checkValue(value);
    this.#write(toBinary(key), [key, value]);
  }

  delete(key: Uint8Array): void {
    checkKey(key);
    this.#write(toBinary(key), [key, undefined]);
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
    return Array.from(this.#sorted(), (key) => this.#writes.get(key)!);
  }

  /** Repeats the writes on `writer`. */
  flushTo(writer: Writer): void {
    if (writer instanceof Overlay) {
      for (const [binary, change] of this.#writes) writer.#write(binary, change);
      return;
    }
    for (const [key, value] of this.changes()) {
      if (value === undefined) writer.delete(key);
      else writer.set(key, value);
    }
  }

  #lookup(binary: string, key: Uint8Array): Uint8Array | undefined {
    for (let overlay: Overlay = this; ; overlay = overlay.#above) {
      const own = overlay.#writes.get(binary);
      if (own !== undefined) return own[1];
      if (overlay.#above === undefined) return overlay.#readBelow(binary, key);
    }
  }

  #readBelow(binary: string, key: Uint8Array): Uint8Array | undefined {
    const read = this.#read;
    if (read === undefined) return this.#parent.get(key);
    const known = read.get(binary);
    if (known !== undefined || read.has(binary)) return known;
    const value = this.#parent.get(key);
    this.#room -= key.length + (value?.length ?? 0);
    if (this.#room > 0) read.set(binary, value);
    return value;
  }

  #write(binary: string, change: Change): void {
    if (this.#order !== undefined && !this.#writes.has(binary)) this.#order.add(binary);
    this.#writes.set(binary, change);
  }

  #sorted(): SortedKeys {
    // Strings of one character per byte: their order is that of the bytes.
    this.#order ??= SortedKeys.of([...this.#writes.keys()].sort());
    return this.#order;
  }

  /** The first own write in the range that lies beyond `passed` in the direction of travel. */
  #step(range: Range, passed: string | undefined): Change | undefined {
    if (this.#writes.size === 0) return undefined;
    const start = range.start === undefined ? undefined : toBinary(range.start);
    const end = range.end === undefined ? undefined : toBinary(range.end);
    let key: string | undefined;
    if (range.reverse === true) {
      key = this.#sorted().previous(passed ?? end);
      if (key !== undefined && start !== undefined && key < start) return undefined;
    } else {
      key = this.#sorted().next(passed ?? start, passed !== undefined);
      if (key !== undefined && end !== undefined && key >= end) return undefined;
    }
    return key === undefined ? undefined : this.#writes.get(key);
  }
}

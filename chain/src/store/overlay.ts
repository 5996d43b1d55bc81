import { checkKeyLength } from "./limits.ts";
import { SortedKeys } from "./sortedKeys.ts";
import type { KeyRange, ValueReader, ValueWriter } from "./types.ts";
import type { Value } from "./value.ts";

/** A write: null deletes. */
export type Write = readonly [key: string, value: Value | null];

const FEW = 100;

/**
 * Buffered writes over a ValueReader. A transaction or a message runs in its own overlay: `flushTo` keeps what it did,
 * dropping the overlay rolls it back. Overlays nest.
 *
 * Writing while iterating is defined: writes ahead of the cursor are seen, writes at or behind it are not. The reader
 * underneath must not change while an iteration runs.
 */
export class Overlay implements ValueWriter {
  readonly #parent: ValueReader;
  readonly #above: Overlay | undefined;
  readonly #writes = new Map<string, Value | null>();
  /** Made by the first iteration: most overlays never see one. */
  #order: SortedKeys | undefined;
  /** Written since, and not in the order yet. */
  #unordered: string[] = [];

  constructor(parent: ValueReader) {
    this.#parent = parent;
    this.#above = parent instanceof Overlay ? parent : undefined;
  }

  value(key: string): Value | undefined {
    for (let overlay: Overlay = this; ; overlay = overlay.#above) {
      const own = overlay.#writes.get(key);
      if (own !== undefined) return own ?? undefined;
      if (overlay.#above === undefined) return overlay.#parent.value(key);
    }
  }

  put(key: string, value: Value | undefined): void {
    checkKeyLength(key.length);
    this.#write(key, value ?? null);
  }

  *values(range: KeyRange = {}): Generator<readonly [string, Value]> {
    const below = this.#parent.values(range)[Symbol.iterator]();
    try {
      let under = below.next();
      let over = this.#step(range, undefined);
      while (!under.done || over !== undefined) {
        const order = under.done ? 1 : over === undefined ? -1 : compare(under.value[0], over[0], range.reverse);
        // The overlay's entry hides the one underneath, also when it is a deletion.
        const entry: Write = order < 0 && !under.done ? under.value : over!;
        if (order <= 0) under = below.next();
        if (entry[1] !== null) yield entry as readonly [string, Value];
        // Looked up anew after each step: the consumer may have written meanwhile.
        over = this.#step(range, entry[0]);
      }
    } finally {
      below.return?.();
    }
  }

  /** The number of keys written, deletions included. */
  get size(): number {
    return this.#writes.size;
  }

  /** The writes, sorted by key, each key once. */
  changes(): Write[] {
    return Array.from(this.#sorted(), (key) => [key, this.#writes.get(key)!]);
  }

  /** Repeats the writes on `writer`. */
  flushTo(writer: ValueWriter): void {
    for (const [key, value] of this.#writes) {
      if (writer instanceof Overlay) writer.#write(key, value);
      else writer.put(key, value ?? undefined);
    }
  }

  #write(key: string, value: Value | null): void {
    if (this.#order !== undefined && !this.#writes.has(key)) this.#unordered.push(key);
    this.#writes.set(key, value);
  }

  #sorted(): SortedKeys {
    // A few find their places one by one; many are cheaper sorted with the rest.
    if (this.#order === undefined || this.#unordered.length > FEW) {
      this.#order = SortedKeys.of([...this.#writes.keys()].sort());
    } else for (const key of this.#unordered) this.#order.add(key);
    this.#unordered = [];
    return this.#order;
  }

  /** The first own write in the range that lies beyond `passed` in the direction of travel. */
  #step({ start, end, reverse = false }: KeyRange, passed: string | undefined): Write | undefined {
    if (this.#writes.size === 0) return undefined;
    const key = reverse
      ? this.#sorted().previous(passed ?? end)
      : this.#sorted().next(passed ?? start, passed !== undefined);
    if (key === undefined) return undefined;
    const outside = reverse ? start !== undefined && key < start : end !== undefined && key >= end;
    return outside ? undefined : [key, this.#writes.get(key)!];
  }
}

const compare = (a: string, b: string, reverse = false): number => (a === b ? 0 : a < b === reverse ? 1 : -1);

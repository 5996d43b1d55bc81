/** The tokens of a model, sorted so that an automaton meets each common beginning once. */
import type { Speller } from "./spelling.ts";

/** What is asked of a model's vocabulary. */
export interface TokenTable {
  readonly size: number;
  /** Tokens that end an answer. */
  readonly stopTokenIds: readonly number[];
  /** The bytes a token adds to the text; empty for control tokens. */
  bytesOf(id: number): Uint8Array;
}

export class VocabularyIndex implements Speller {
  readonly size: number;
  readonly stopTokenIds: readonly number[];
  /** Control tokens that do not end an answer. */
  readonly silentIds: readonly number[];
  /** Tokens with bytes, by their bytes. */
  readonly sorted: readonly { readonly id: number; readonly bytes: Uint8Array }[];
  /** Entry i: how many bytes sorted[i] begins with like sorted[i − 1]. */
  readonly shared: Int32Array;
  readonly #table: TokenTable;
  readonly #longest: number;
  readonly #spellings = new Set<string>();

  constructor(table: TokenTable) {
    this.#table = table;
    this.size = table.size;
    this.stopTokenIds = table.stopTokenIds;
    const stops = new Set(table.stopTokenIds);
    const spoken: { id: number; bytes: Uint8Array }[] = [];
    const silent: number[] = [];
    for (let id = 0; id < table.size; id++) {
      if (stops.has(id)) continue;
      const bytes = table.bytesOf(id);
      if (bytes.length === 0) silent.push(id);
      else spoken.push({ id, bytes });
    }
    spoken.sort((a, b) => compare(a.bytes, b.bytes) || a.id - b.id);
    this.silentIds = silent;
    this.sorted = spoken;
    this.shared = Int32Array.from(spoken, ({ bytes }, i) => (i === 0 ? 0 : common(spoken[i - 1]!.bytes, bytes)));
    this.#longest = spoken.reduce((most, { bytes }) => Math.max(most, bytes.length), 0);
    for (const { bytes } of spoken) this.#spellings.add(keyOf(bytes));
  }

  bytesOf(id: number): Uint8Array {
    return this.#table.bytesOf(id);
  }

  hasByte(byte: number): boolean {
    return this.#spellings.has(keyOf(Uint8Array.of(byte)));
  }

  spell(bytes: Uint8Array): readonly number[] {
    const fewest = new Array<number>(bytes.length + 1).fill(Number.POSITIVE_INFINITY);
    fewest[bytes.length] = 0;
    for (let from = bytes.length - 1; from >= 0; from--) {
      const furthest = Math.min(bytes.length, from + this.#longest);
      for (let to = from + 1; to <= furthest; to++) {
        if (fewest[to]! + 1 >= fewest[from]! || !this.#spellings.has(keyOf(bytes.subarray(from, to)))) continue;
        fewest[from] = fewest[to]! + 1;
      }
    }
    return fewest;
  }
}

/** One UTF-16 unit for each byte: a key that is compared quickly. */
const keyOf = (bytes: Uint8Array): string => String.fromCharCode(...bytes);

function compare(a: Uint8Array, b: Uint8Array): number {
  const at = common(a, b);
  return (a[at] ?? -1) - (b[at] ?? -1);
}

function common(a: Uint8Array, b: Uint8Array): number {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length++;
  return length;
}

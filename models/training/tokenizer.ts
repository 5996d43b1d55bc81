/** Byte-level BPE with GPT-2's pre-tokeniser: trainer, encoder, and the tables that GGUF wants. No dependencies. */

const PRE_TOKEN = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;
export const SPECIAL_TOKENS = ["<|endoftext|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"] as const;
export type SpecialToken = (typeof SPECIAL_TOKENS)[number];

/** A merge of two token ids into the next free id. */
export type Merge = [left: number, right: number];

const PAIR = 1 << 16; // two ids in one map key

/** Learns merges until the vocabulary (256 bytes + merges + special tokens) has `vocabularySize` entries. */
export function trainMerges(text: string, vocabularySize: number): Merge[] {
  const words = countWords(text);
  const pairCounts = new Map<number, number>();
  const wordsWithPair = new Map<number, Set<number>>();
  const count = (left: number, right: number, change: number, word: number): void => {
    const key = left * PAIR + right;
    const total = (pairCounts.get(key) ?? 0) + change;
    if (total <= 0) pairCounts.delete(key);
    else pairCounts.set(key, total);
    if (change <= 0) return;
    const holders = wordsWithPair.get(key) ?? new Set();
    wordsWithPair.set(key, holders.add(word));
  };
  const countAll = (symbols: number[], change: number, word: number): void => {
    for (let i = 0; i + 1 < symbols.length; i++) count(symbols[i]!, symbols[i + 1]!, change, word);
  };
  words.forEach((word, index) => countAll(word.symbols, word.count, index));

  const merges: Merge[] = [];
  const wanted = vocabularySize - 256 - SPECIAL_TOKENS.length;
  while (merges.length < wanted) {
    const best = mostFrequent(pairCounts);
    if (best === undefined) break;
    const [left, right]: Merge = [Math.floor(best / PAIR), best % PAIR];
    const id = 256 + merges.length;
    merges.push([left, right]);
    for (const index of wordsWithPair.get(best) ?? []) {
      const word = words[index]!;
      const merged = mergePair(word.symbols, left, right, id);
      if (merged.length === word.symbols.length) continue;
      countAll(word.symbols, -word.count, index);
      word.symbols = merged;
      countAll(merged, word.count, index);
    }
    pairCounts.delete(best);
    wordsWithPair.delete(best);
  }
  return merges;
}

function countWords(text: string): { symbols: number[]; count: number }[] {
  const counts = new Map<string, number>();
  for (const [word] of text.matchAll(PRE_TOKEN)) counts.set(word, (counts.get(word) ?? 0) + 1);
  return [...counts]
    .filter(([, count]) => count > 1)
    .map(([word, count]) => ({ symbols: [...Buffer.from(word, "utf8")], count }));
}

/** Ties go to the smaller pair, so that training is reproducible. */
function mostFrequent(pairCounts: ReadonlyMap<number, number>): number | undefined {
  let best: number | undefined;
  let bestCount = 0;
  for (const [key, count] of pairCounts) {
    if (count > bestCount || (count === bestCount && best !== undefined && key < best)) {
      best = key;
      bestCount = count;
    }
  }
  return best;
}

function mergePair(symbols: readonly number[], left: number, right: number, id: number): number[] {
  const merged: number[] = [];
  for (let i = 0; i < symbols.length; ) {
    if (i + 1 < symbols.length && symbols[i] === left && symbols[i + 1] === right) {
      merged.push(id);
      i += 2;
    } else {
      merged.push(symbols[i++]!);
    }
  }
  return merged;
}

export class Tokenizer {
  readonly size: number;
  readonly #merges: readonly Merge[];
  readonly #idOfPair = new Map<number, number>();
  readonly #bytes: Buffer[] = [];
  readonly #cache = new Map<string, number[]>();

  constructor(merges: readonly Merge[]) {
    this.#merges = merges;
    for (let byte = 0; byte < 256; byte++) this.#bytes.push(Buffer.from([byte]));
    merges.forEach(([left, right], i) => {
      this.#idOfPair.set(left * PAIR + right, 256 + i);
      this.#bytes.push(Buffer.concat([this.#bytes[left]!, this.#bytes[right]!]));
    });
    this.size = this.#bytes.length + SPECIAL_TOKENS.length;
  }

  special(token: SpecialToken): number {
    return this.#bytes.length + SPECIAL_TOKENS.indexOf(token);
  }

  encode(text: string): number[] {
    const ids: number[] = [];
    for (const [word] of text.matchAll(PRE_TOKEN)) for (const id of this.#encodeWord(word)) ids.push(id);
    return ids;
  }

  decode(ids: readonly number[]): string {
    const first = this.#bytes.length;
    return Buffer.concat(ids.map((id) => this.#bytes[id] ?? Buffer.from(SPECIAL_TOKENS[id - first] ?? ""))).toString("utf8");
  }

  /** A chat as the model is trained on it: <|endoftext|> then <|role|> text <|end|> for each message. */
  encodeChat(messages: readonly { role: "system" | "user" | "assistant"; content: string }[]): number[] {
    const ids = [this.special("<|endoftext|>")];
    for (const { role, content } of messages) {
      ids.push(this.special(`<|${role}|>`), ...this.encode(content), this.special("<|end|>"));
    }
    return ids;
  }

  /** Token types: 1 = normal, 3 = control. */
  ggufTables(): { tokens: string[]; merges: string[]; types: number[] } {
    const characters = byteCharacters();
    const written = (bytes: Buffer): string => [...bytes].map((byte) => characters[byte]).join("");
    const tokens = this.#bytes.map(written);
    return {
      tokens: [...tokens, ...SPECIAL_TOKENS],
      merges: this.#merges.map(([left, right]) => `${written(this.#bytes[left]!)} ${written(this.#bytes[right]!)}`),
      types: [...tokens.map(() => 1), ...SPECIAL_TOKENS.map(() => 3)],
    };
  }

  #encodeWord(word: string): number[] {
    const known = this.#cache.get(word);
    if (known) return known;
    let symbols: number[] = [...Buffer.from(word, "utf8")];
    for (;;) {
      let lowest = Number.POSITIVE_INFINITY;
      let at = -1;
      for (let i = 0; i + 1 < symbols.length; i++) {
        const id = this.#idOfPair.get(symbols[i]! * PAIR + symbols[i + 1]!);
        if (id !== undefined && id < lowest) {
          lowest = id;
          at = i;
        }
      }
      if (at < 0) break;
      symbols = mergePair(symbols, symbols[at]!, symbols[at + 1]!, lowest);
    }
    if (this.#cache.size < 500_000) this.#cache.set(word, symbols);
    return symbols;
  }
}

/** GPT-2's map from a byte to a printable character. */
function byteCharacters(): string[] {
  const characters: string[] = [];
  let next = 256;
  for (let byte = 0; byte < 256; byte++) {
    const printable = (byte >= 33 && byte < 127) || (byte >= 161 && byte < 173) || byte >= 174;
    characters.push(String.fromCodePoint(printable ? byte : next++));
  }
  return characters;
}

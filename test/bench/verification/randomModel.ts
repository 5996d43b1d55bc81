/** GGUF files of any size with random weights: what a check costs depends on the shapes, not on what the numbers say. */
import { readFileSync } from "node:fs";
import { type Hyperparameters, llamaMetadata, type Tensor, writeGguf } from "../../../models/training/gguf.ts";
import { type Merge, Tokenizer } from "../../../models/training/tokenizer.ts";
import { randomFrom } from "../../attacks/random.ts";

const MERGES = new URL("../../../models/merges.json", import.meta.url).pathname;

/** Millions of parameters → shape; heads of 64, as many for keys and values, feed-forward 2.7 times the width. */
export const SHAPES = {
  10: { d: 320, layers: 8, heads: 5, kv: 5, ff: 864, vocab: 2_048, ctx: 1_024 },
  50: { d: 640, layers: 10, heads: 10, kv: 10, ff: 1_728, vocab: 2_048, ctx: 1_024 },
  100: { d: 768, layers: 14, heads: 12, kv: 12, ff: 2_048, vocab: 2_048, ctx: 1_024 },
  300: { d: 1_024, layers: 23, heads: 16, kv: 16, ff: 2_816, vocab: 2_048, ctx: 1_024 },
} as const satisfies Record<number, Hyperparameters>;
export type Size = keyof typeof SHAPES;

/** Writes an f16 file and returns its number of parameters. */
export function writeRandomModel(size: Size, path: string): number {
  const h = SHAPES[size];
  const random = randomFrom(size);
  const known = new Map<string, Float32Array>();
  // Every layer has the same weights: drawing and keeping them once is enough.
  const weights = (rows: number, columns: number): Float32Array => {
    const key = `${rows} ${columns}`;
    const scale = Math.sqrt(3 / columns);
    const data = known.get(key) ?? Float32Array.from({ length: rows * columns }, () => scale * (2 * random() - 1));
    known.set(key, data);
    return data;
  };
  const matrix = (name: string, rows: number, columns: number): Tensor => ({
    name: `${name}.weight`,
    shape: [rows, columns],
    data: weights(rows, columns),
  });
  const norm = (name: string): Tensor => ({
    name: `${name}.weight`,
    shape: [h.d],
    data: new Float32Array(h.d).fill(1),
  });
  const kv = (h.d / h.heads) * h.kv;
  const tensors = [
    matrix("token_embd", h.vocab, h.d),
    norm("output_norm"),
    ...Array.from({ length: h.layers }, (_, i) => [
      norm(`blk.${i}.attn_norm`),
      matrix(`blk.${i}.attn_q`, h.d, h.d),
      matrix(`blk.${i}.attn_k`, kv, h.d),
      matrix(`blk.${i}.attn_v`, kv, h.d),
      matrix(`blk.${i}.attn_output`, h.d, h.d),
      norm(`blk.${i}.ffn_norm`),
      matrix(`blk.${i}.ffn_gate`, h.ff, h.d),
      matrix(`blk.${i}.ffn_up`, h.ff, h.d),
      matrix(`blk.${i}.ffn_down`, h.d, h.ff),
    ]).flat(),
  ];
  const tokenizer = new Tokenizer(JSON.parse(readFileSync(MERGES, "utf8")) as Merge[]);
  writeGguf(path, llamaMetadata(h, tokenizer, `random-${size}M`, "f16"), tensors, "f16");
  return tensors.reduce((sum, { data }) => sum + data.length, 0);
}

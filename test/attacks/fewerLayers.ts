/** The declared model without one of its layers, as a cheat that wants to be a fifth faster would run it. */
import { readFileSync } from "node:fs";
import { readGgufHeader } from "../../ml-node/src/engine/llama/gguf.ts";
import { type Hyperparameters, llamaMetadata, type Tensor, writeGguf } from "../../models/training/gguf.ts";
import { type Merge, Tokenizer } from "../../models/training/tokenizer.ts";

const models = new URL("../../models/", import.meta.url).pathname;
const ALIGNMENT = 32;
const F32 = 0;

/** Writes an f16 file of the project's llama models to `to`, without layer `skipped`. */
export async function withoutLayer(from: string, skipped: number, to: string): Promise<void> {
  const { metadata, tensors } = await readGgufHeader(from);
  const file = readFileSync(from);
  const bytesOf = ({ dimensions, type }: (typeof tensors)[number]): number =>
    dimensions.reduce((product, n) => product * n, 1) * (type === F32 ? 4 : 2);
  const last = tensors.toSorted((a, b) => a.offset - b.offset).at(-1);
  if (!last) throw new Error("the model has no tensors");
  const start = file.length - Math.ceil((last.offset + bytesOf(last)) / ALIGNMENT) * ALIGNMENT;
  const kept = tensors.flatMap((tensor): Tensor[] => {
    const layer = Number(/^blk\.(\d+)\./.exec(tensor.name)?.[1] ?? -1);
    if (layer === skipped) return [];
    const name = layer > skipped ? tensor.name.replace(/\d+/, String(layer - 1)) : tensor.name;
    const bytes = file.subarray(start + tensor.offset, start + tensor.offset + bytesOf(tensor));
    return [
      { name, shape: tensor.dimensions.toReversed(), data: tensor.type === F32 ? singles(bytes) : halves(bytes) },
    ];
  });
  const number = (key: string): number => Number(metadata.get(`llama.${key}`));
  const h: Hyperparameters = {
    d: number("embedding_length"),
    layers: number("block_count") - 1,
    heads: number("attention.head_count"),
    kv: number("attention.head_count_kv"),
    ff: number("feed_forward_length"),
    vocab: number("vocab_size"),
    ctx: number("context_length"),
  };
  const merges = JSON.parse(readFileSync(`${models}merges.json`, "utf8")) as Merge[];
  writeGguf(to, llamaMetadata(h, new Tokenizer(merges), "one layer less", "f16"), kept, "f16");
}

const singles = (bytes: Buffer): Float32Array =>
  Float32Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(4 * i));

const halves = (bytes: Buffer): Float32Array =>
  Float32Array.from({ length: bytes.length / 2 }, (_, i) => fromHalf(bytes.readUInt16LE(2 * i)));

/** IEEE 754 binary16. */
function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const mantissa = bits & 1023;
  if (exponent === 0) return sign * mantissa * 2 ** -24;
  if (exponent === 31) return mantissa ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
}

/**
 * `node makeGguf.ts <merges.json> <weights>=<name> …`: the weights that train.py saved (<weights>.json, <weights>.f32) →
 * <name>-f32.gguf, <name>-f16.gguf, <name>-q8_0.gguf, <name>-q4_0.gguf.
 */
import { readFileSync } from "node:fs";
import { type Hyperparameters, llamaMetadata, type Tensor, type TensorType, writeGguf } from "./gguf.ts";
import { type Merge, Tokenizer } from "./tokenizer.ts";

interface Saved {
  hparams: Hyperparameters;
  tensors: { name: string; shape: number[]; offset: number }[];
}

const [mergesPath, ...jobs] = process.argv.slice(2);
if (mergesPath === undefined) throw new Error("usage: makeGguf.ts <merges.json> <weights>=<name> …");
const tokenizer = new Tokenizer(JSON.parse(readFileSync(mergesPath, "utf8")) as Merge[]);

for (const job of jobs) {
  const [source = "", name = source] = job.split("=");
  const { hparams, tensors } = load(source);
  for (const type of ["f32", "f16", "q8_0", "q4_0"] satisfies TensorType[]) {
    writeGguf(`${name}-${type}.gguf`, llamaMetadata(hparams, tokenizer, name, type), tensors, type);
  }
}

function load(prefix: string): { hparams: Hyperparameters; tensors: Tensor[] } {
  const { hparams, tensors } = JSON.parse(readFileSync(`${prefix}.json`, "utf8")) as Saved;
  const bytes = Uint8Array.from(readFileSync(`${prefix}.f32`)); // a copy is aligned
  return {
    hparams,
    tensors: tensors.map(({ name, shape, offset }) => {
      const length = shape.reduce((product, n) => product * n, 1);
      return { name, shape, data: new Float32Array(bytes.buffer, offset, length) };
    }),
  };
}

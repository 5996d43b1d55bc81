/** Embeddings that are not the declared model's, by the rows of the attacks on answers; one is honest and must pass. */
import { SKETCH_CODING, scoreEmbedding, sketchOf, valuesAgree, valuesWindows } from "@karat/rules";
import { texts } from "../../ml-node/src/calibrate/distances.ts";
import type { InferenceEngine } from "../../ml-node/src/engine/engine.ts";
import { renderTexts } from "../../ml-node/src/service/embedding.ts";
import type { Lab } from "./lab.ts";
import type { RateAttack } from "./rates.ts";

/** The vectors that are delivered for some inputs. */
type Executor = (lab: Lab, inputs: readonly (readonly number[])[]) => Promise<Float32Array[]>;

const SEED = 20_261_122;
/** Positions that a second look compares. */
const WINDOW = 32;

const by =
  (engineOf: (lab: Lab) => InferenceEngine): Executor =>
  (lab, inputs) =>
    engineOf(lab).embed({ inputs });

/** In the declared size: by their bytes alone its own would fail. */
const padded: Executor = async (lab, inputs) => {
  const size = lab.declared.info().embeddingDimensions ?? 0;
  const vectors = await lab.mini.embed({ inputs });
  return vectors.map((vector) => Float32Array.from({ length: size }, (_, i) => vector[i] ?? 0));
};

const halves: Executor = (lab, inputs) =>
  lab.declared.embed({ inputs: inputs.map((ids) => ids.slice(Math.floor(ids.length / 2))) });

const oneOfThem =
  (engineOf: (lab: Lab) => InferenceEngine): Executor =>
  async (lab, inputs) => {
    const honest = await lab.declared.embed({ inputs });
    const [cheap] = await engineOf(lab).embed({ inputs: inputs.slice(0, 1) });
    return honest.with(0, cheap!);
  };

/** How many answers of `size` vectors fail. */
const failing =
  (size: number, executor: Executor): RateAttack["run"] =>
  async (count, lab) => {
    const supply = texts(SEED);
    let fails = 0;
    for (let i = 0; i < count; i++) {
      const group = Array.from({ length: size }, () => supply.next().value as string);
      const inputs = await renderTexts(lab.declared, group);
      const [recorded, own] = [await executor(lab, inputs), await lab.declared.embed({ inputs })];
      if (scoreEmbedding(lab.profile, recorded, own).verdict === "fail") fails++;
    }
    return fails;
  };

/** How many windows of sketches a second look finds apart, of a validator that scores with `engine` and one with the declared model. */
const sketchesApart =
  (engineOf: (lab: Lab) => InferenceEngine): RateAttack["run"] =>
  async (count, lab) => {
    const supply = texts(SEED + 1);
    let apart = 0;
    for (let i = 0; i < count; i++) {
      const group = Array.from({ length: WINDOW }, () => supply.next().value as string);
      const inputs = await renderTexts(lab.declared, group);
      const [a, b] = [await lab.declared.embed({ inputs }), await engineOf(lab).embed({ inputs })].map(
        (vectors) => valuesWindows(vectors.map(sketchOf), SKETCH_CODING)[0]!,
      );
      if (!valuesAgree(a!, b!, WINDOW)) apart++;
    }
    return apart;
  };

const looked = (who: string, engineOf: (lab: Lab) => InferenceEngine, promise?: number): RateAttack => ({
  id: "A18",
  name: `embeddings: ${who}`,
  counted: "windows of sketches apart",
  ...(promise !== undefined && { promise }),
  run: sketchesApart(engineOf),
});

const row = (id: string, who: string, size: number, executor: Executor, promise?: number): RateAttack => ({
  id,
  name: `embeddings of ${size} texts: ${who}`,
  counted: "failed",
  ...(promise !== undefined && { promise }),
  run: failing(size, executor),
});

export const EMBEDDING_ATTACKS: readonly RateAttack[] = [
  row(
    "A1",
    "run by 8 bits",
    4,
    by((lab) => lab.q8),
    0.95,
  ),
  row(
    "A1",
    "run by 8 bits",
    32,
    by((lab) => lab.q8),
    0.95,
  ),
  row(
    "A1",
    "run by 4 bits",
    4,
    by((lab) => lab.q4),
    0.95,
  ),
  row("A2", "run by the mini model, in the declared size", 4, padded, 0.95),
  row("A9", "half of each left out", 4, halves, 0.95),
  row(
    "A11",
    "one of them run by 4 bits",
    16,
    oneOfThem((lab) => lab.q4),
    0.95,
  ),
  // The nearest substitute, in a sixteenth of the work.
  row(
    "A11",
    "one of them run by 8 bits",
    16,
    oneOfThem((lab) => lab.q8),
  ),
  row(
    "A14",
    "one layer of five left out",
    4,
    by((lab) => lab.shallow),
    0.95,
  ),
  {
    ...row(
      "A23",
      "honest, other kernels and batches than the validator",
      4,
      by((lab) => lab.noisy),
      0,
    ),
    honest: true,
  },
  looked("a validator that scores with the mini model", (lab) => lab.mini, 0.95),
  looked("a validator that scores with 4 bits", (lab) => lab.q4),
  looked("a validator that scores with 8 bits", (lab) => lab.q8),
  { ...looked("an honest validator on other kernels", (lab) => lab.noisy, 0), honest: true },
];

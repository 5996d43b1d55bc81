/**
 * `node test/bench/verification/cost.ts [--sizes 10,50,100,300] [--tokens 96] [--repeats 3] [--out <folder>]`: what generating and
 * checking a token costs, in CPU time of this process, for the models of the project and for random ones of larger sizes. Prints
 * JSON lines; with --out writes cost-by-size.svg there.
 */
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { DEFAULT_SAMPLING, encodeArtifact, gumbelCheck, sample, type TokenLogit } from "@karat/rules";
import { loadRuntime } from "../../../ml-node/src/engine/llama/runtime.ts";
import { artifactPosition } from "../../../ml-node/src/service/artifact.ts";
import { VALIDATOR_TOP } from "../../../ml-node/src/service/scoring.ts";
import { costPlot } from "./plot.ts";
import { SHAPES, type Size, writeRandomModel } from "./randomModel.ts";

export interface Cost {
  model: string;
  megabytes: number;
  /** Milliseconds of CPU time for each token of the output. */
  generate: number;
  score: number;
  /** The statistics on the scored positions. */
  judge: number;
  /** (score + judge) / generate. */
  ratio: number;
  /** Of the artifact, k = 5, step 1/128. */
  bytesPerToken: number;
}

const { values } = parseArgs({
  options: {
    sizes: { type: "string", default: "10,50,100,300" },
    tokens: { type: "string", default: "96" },
    repeats: { type: "string", default: "3" },
    out: { type: "string" },
  },
});
const tokens = whole("tokens", 16, 900);
const repeats = whole("repeats", 1, 100);
const sizes = values.sizes.split(",").filter(Boolean).map(sizeOf);
const models = new URL("../../../models/", import.meta.url).pathname;
const CODING = { step: "1/128", k: 5 } as const;
const SAMPLING = { ...DEFAULT_SAMPLING, temperatureMicros: 800_000 };
const PROMPT = "The following function returns the name of the file:";
const signal = new AbortController().signal;

const folder = await mkdtemp(join(tmpdir(), "karat-cost-"));
try {
  const costs: Cost[] = [];
  for (const name of ["karat-mini-f16", "karat-tiny-f16", "karat-tiny-q8_0", "karat-tiny-q4_0"]) {
    costs.push(await costOf(name, `${models}${name}.gguf`));
  }
  for (const size of sizes) {
    const path = join(folder, `random-${size}M.gguf`);
    writeRandomModel(size, path);
    costs.push(await costOf(`random, ${size} M`, path));
    await rm(path);
  }
  if (values.out !== undefined) await writeFile(join(values.out, "cost-by-size.svg"), costPlot(costs));
} finally {
  await rm(folder, { recursive: true, force: true });
}

/** The cheapest of the repeats: what others do on the machine can only add. */
async function costOf(model: string, modelPath: string): Promise<Cost> {
  const engine = await loadRuntime({ modelPath, contextSize: 1024, sequences: 1, batchSize: 512, threads: 1 });
  try {
    const promptIds = engine.render({ prompt: PROMPT });
    const cost = {
      generate: Number.POSITIVE_INFINITY,
      score: Number.POSITIVE_INFINITY,
      judge: Number.POSITIVE_INFINITY,
    };
    let bytes = 0;
    let all = 0;
    let logits: TokenLogit[][] = [];
    for (let repeat = -1; repeat < repeats; repeat++) {
      // The first time warms up.
      const seed = new Uint8Array(32).fill(repeat + 2);
      const positions: { id: number; logprob: number; top: readonly { id: number; logprob: number }[] }[] = [];
      const generate = await cpu(async () => {
        const job = { promptIds, prefixIds: [], maxTokens: tokens, sampling: SAMPLING, seed, top: CODING.k };
        for await (const token of engine.generate(job, signal)) positions.push(token);
      });
      const outputIds = positions.map(({ id }) => id);
      const score = await cpu(async () => {
        const scored = await engine.score({ promptIds, outputIds, top: VALIDATOR_TOP }, signal);
        logits = scored.map((entries) => entries.map(({ id, logprob }) => [id, logprob] as const));
      });
      const judge = await cpu(async () => {
        gumbelCheck(SAMPLING, seed, outputIds, logits, 1e-3);
      });
      const n = outputIds.length;
      // An answer that stopped by itself after a few tokens says nothing of the cost of one.
      if (repeat < 0 || n < tokens / 2) continue;
      cost.generate = Math.min(cost.generate, generate / n);
      cost.score = Math.min(cost.score, score / n);
      cost.judge = Math.min(cost.judge, judge / n);
      const coded = positions.map((position) => artifactPosition(position, CODING.k));
      bytes += encodeArtifact(coded, CODING).length;
      all += n;
    }
    if (all === 0) throw new Error(`${model}: every answer stopped early; take more --repeats`);
    const found = {
      model,
      megabytes: (await stat(modelPath)).size / 1e6,
      ...cost,
      ratio: (cost.score + cost.judge) / cost.generate,
      bytesPerToken: bytes / all,
    };
    console.log(JSON.stringify({ what: "cost", ...found }));
    if (model === "karat-tiny-f16") await sampling(logits);
    return found;
  } finally {
    await engine.close();
  }
}

/** Choosing one token from 64 logits, in the three ways that cost differently. */
async function sampling(logits: readonly (readonly TokenLogit[])[]): Promise<void> {
  const ways = {
    "temperature 0.8": SAMPLING,
    "temperature 0.8, top-p 0.9": { ...SAMPLING, topPMicros: 900_000 },
    greedy: { ...SAMPLING, temperatureMicros: 0 },
  };
  const seed = new Uint8Array(32).fill(3);
  for (const [way, params] of Object.entries(ways)) {
    let least = Number.POSITIVE_INFINITY;
    for (let repeat = 0; repeat < 10; repeat++) {
      const spent = await cpu(async () => {
        for (const [position, own] of logits.entries()) sample(params, seed, position, own.slice(0, 64));
      });
      least = Math.min(least, spent / logits.length);
    }
    console.log(JSON.stringify({ what: "sampling", way, msPerToken: least }));
  }
}

async function cpu(work: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
}

function sizeOf(text: string): Size {
  const known = Object.keys(SHAPES).map(Number) as Size[];
  const size = known.find((one) => one === Number(text));
  if (size === undefined) throw new Error(`--sizes: some of ${known.join(", ")}`);
  return size;
}

function whole(name: "tokens" | "repeats", least: number, most: number): number {
  const value = Number(values[name]);
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new Error(`--${name}: a whole number from ${least} to ${most}`);
}

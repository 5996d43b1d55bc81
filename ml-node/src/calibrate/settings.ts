/** The numerical settings that honest nodes differ in, as far as one machine can vary them. */
import { basename } from "node:path";
import { isKaratError } from "@karat/common";
import type { InferenceEngine } from "../engine/engine.ts";
import { createLlamaEngine, type LlamaEngineOptions } from "../engine/llama/llamaEngine.ts";
import type { Setting } from "./runs.ts";

export interface Laboratory {
  /** Opens the reference with two threads: it must give the same bits, so the number of threads is no axis of noise. */
  openThreaded(): Promise<InferenceEngine>;
  /** The engine that the others are compared with. */
  reference: InferenceEngine;
  settings: Setting[];
  /** What the answers of an unseeded profile are compared with. */
  substitutes: readonly InferenceEngine[];
  /** Settings that this machine cannot run, and why: nothing is claimed about them. */
  missing: { what: string; reason: string }[];
  close(): Promise<void>;
}

type Overrides = Pick<LlamaEngineOptions, "batchSize" | "sequences" | "cpuVariant">;

/** One engine process each. */
const ENGINES = {
  reference: {},
  alone: { sequences: 1 },
  wide: { sequences: 8 },
  middle: { batchSize: 64 },
  small: { batchSize: 16 },
  x64: { cpuVariant: "x64" },
  ivybridge: { cpuVariant: "ivybridge" },
  haswell: { cpuVariant: "haswell" },
  zen4: { cpuVariant: "zen4", batchSize: 64 },
} as const satisfies Record<string, Overrides>;
type EngineName = keyof typeof ENGINES;

interface Plan {
  name: string;
  executor: EngineName;
  validator: EngineName;
  concurrency: number;
  share?: number;
}

/** The same build of the engine, in the batches that a node may be set to. */
const SAME_CPU: readonly Plan[] = [
  { name: "alone", executor: "alone", validator: "alone", concurrency: 1 },
  { name: "four together", executor: "reference", validator: "reference", concurrency: 4 },
  { name: "eight together", executor: "wide", validator: "wide", concurrency: 8 },
  { name: "batches of 512, validator of 16", executor: "reference", validator: "small", concurrency: 4 },
  { name: "batches of 64, validator of 512", executor: "middle", validator: "reference", concurrency: 4 },
];

/** Other instruction sets: each CPU build of llama.cpp is other code for the same sums. */
const OTHER_CPU: readonly Plan[] = [
  // Without instructions for f16 this one takes ten times as long: a quarter as many.
  { name: "CPU of 2003 (SSE2) for the newest", executor: "x64", validator: "reference", concurrency: 4, share: 0.25 },
  { name: "CPU of 2012 (AVX) for 2013 (AVX2)", executor: "ivybridge", validator: "haswell", concurrency: 4 },
  { name: "CPU of 2013 (AVX2) for the newest", executor: "haswell", validator: "reference", concurrency: 4 },
  { name: "the newest CPU for 2013 (AVX2)", executor: "wide", validator: "haswell", concurrency: 8 },
  { name: "AVX-512 in batches of 64 for AVX", executor: "zen4", validator: "ivybridge", concurrency: 4 },
];

/** What is not honest by a profile of these settings: each of it is another profile. */
export const EXCLUDED = [
  {
    what: "flash attention",
    reason:
      "on a CPU it rounds batches of 64 rows and more otherwise than single tokens, and behind prompts of some hundred tokens the difference is that of another model; it is off by default",
  },
  {
    what: "keys and values in q8_0",
    reason:
      "ten times the spread of any CPU build: a profile that lets it pass would let 8-bit weights pass. It is found as an attack (A14)",
  },
  { what: "GPU kernels", reason: "none was at hand to calibrate with" },
];

/** Opens every engine that this machine can run, each in a process of its own; `only` limits the settings by name. */
export async function openLaboratory(
  modelPath: string,
  id: string,
  substitutePaths: readonly string[] = [],
  only: (name: string) => boolean = () => true,
): Promise<Laboratory> {
  const plans = [...SAME_CPU, ...OTHER_CPU].filter(({ name }) => only(name));
  const names = new Set<EngineName>([
    "reference",
    ...plans.flatMap(({ executor, validator }) => [executor, validator]),
  ]);
  const engines = new Map<EngineName, InferenceEngine>();
  const substitutes: InferenceEngine[] = [];
  const missing: Laboratory["missing"] = [];
  const close = async (): Promise<void> => {
    await Promise.all([...engines.values(), ...substitutes].map((engine) => engine.close()));
  };
  try {
    const opening = [...names].map(async (name) => {
      const engine = await openOne(name, { modelPath, id, contextSize: 1024, ...ENGINES[name] });
      if (engine) engines.set(name, engine);
    });
    const outcomes = await Promise.allSettled(opening);
    for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
    for (const path of substitutePaths) {
      substitutes.push(await createLlamaEngine({ modelPath: path, id: basename(path, ".gguf"), contextSize: 1024 }));
    }
    const settings: Setting[] = [];
    for (const { name, concurrency, share = 1, ...by } of plans) {
      const executor = engines.get(by.executor);
      const validator = engines.get(by.validator);
      if (executor && validator) settings.push({ name, executor, validator, concurrency, share, substitutes });
      else missing.push({ what: name, reason: "this machine cannot run that build of the engine" });
    }
    const openThreaded = () => createLlamaEngine({ modelPath, id, contextSize: 1024, threads: 2 });
    return { openThreaded, reference: engines.get("reference")!, settings, substitutes, missing, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Undefined where the machine lacks the instructions; the reference has none that it could lack. */
async function openOne(name: EngineName, options: LlamaEngineOptions): Promise<InferenceEngine | undefined> {
  try {
    return await createLlamaEngine(options);
  } catch (error) {
    if (options.cpuVariant !== undefined && isKaratError(error, "model_load_failed")) return undefined;
    throw new Error(`the engine "${name}" does not come up`, { cause: error });
  }
}

/** Every model here can be declared: with its profile honest answers pass, and other weights passed off as it fail where the profile can tell. */
import { toHex } from "@karat/common";
import { type Profile, scoreEmbedding } from "@karat/rules";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { swap } from "../attack/attack.ts";
import { embedBoth, texts } from "../calibrate/distances.ts";
import { runWorkload } from "../calibrate/runs.ts";
import { evidenceOf, judge } from "../calibrate/scores.ts";
import { type WorkItem, workload } from "../calibrate/workload.ts";
import type { InferenceEngine } from "../engine/engine.ts";
import { createLlamaEngine } from "../engine/llama/llamaEngine.ts";
import { codingOf } from "./artifact.ts";
import { loadProfile } from "./profile.ts";

const models = new URL("../../../models/", import.meta.url).pathname;
const NAMES = ["karat-tiny-f16", "karat-tiny-q8_0", "karat-tiny-q4_0", "karat-mini-f16"] as const;
type Name = (typeof NAMES)[number];
const RUNS = 6;
const TOKENS = 64;
const LIMIT_MS = 240_000;

const engines = new Map<Name, InferenceEngine>();
const profiles = new Map<Name, Profile>();
beforeAll(async () => {
  for (const name of NAMES) {
    engines.set(name, await createLlamaEngine({ modelPath: `${models}${name}.gguf`, id: name, contextSize: 1024 }));
    profiles.set(name, await loadProfile(`${models}profiles/${name}.json`));
  }
}, LIMIT_MS);
afterAll(() => Promise.all([...engines.values()].map((engine) => engine.close())));

/** Texts of exactly so many tokens at temperature 0.7, on prompts that no calibration saw. */
function* items(): Generator<WorkItem> {
  for (const item of workload(20_261_123)) {
    if ("messages" in item.input) continue;
    const open = {
      temperatureMicros: 700_000,
      topPMicros: 1_000_000,
      topK: 64,
      minPMicros: 0,
      frequencyPenaltyMicros: 0,
    };
    yield { ...item, maxTokens: TOKENS, sampling: { ...item.sampling, ...open } };
  }
}

/** Honest vectors of 8 bits are nearly as far apart as those of 16 bits are from them: not every single one fails, and nobody gains by running more. */
const isNear = (declared: Name, by: Name): boolean => declared === "karat-tiny-q8_0" && by === "karat-tiny-f16";

/** How many of RUNS answers of `executor` fail where `declared` is declared. */
async function failures(declared: Name, executor: (declared: InferenceEngine) => InferenceEngine): Promise<number> {
  const validator = engines.get(declared)!;
  const profile = profiles.get(declared)!;
  const setting = { name: declared, executor: executor(validator), validator, concurrency: 2 };
  let runs = 0;
  let failed = 0;
  for await (const run of runWorkload(setting, items(), 4 * RUNS, 20)) {
    if (run.answer.tokenIds.length !== TOKENS) continue;
    const evidence = evidenceOf(run, codingOf(profile), validator.vocabulary.size);
    if (judge(profile, evidence, new Set(validator.vocabulary.stopTokenIds)).verdict === "fail") failed++;
    if (++runs === RUNS) return failed;
  }
  throw new Error(`only ${runs} runs`);
}

describe.each(NAMES)("%s, declared", (declared) => {
  test("has the profile of its weights", () => {
    const { weightsSha256, quantization } = engines.get(declared)!.info();
    expect(profiles.get(declared)).toMatchObject({ weightsSha256, quantization });
    expect(weightsSha256).toHaveLength(toHex(new Uint8Array(32)).length);
  });

  test("answered honestly passes", { timeout: LIMIT_MS }, async () => {
    expect(await failures(declared, (engine) => engine)).toBe(0);
  });

  test.each(NAMES.filter((name) => name !== declared))("run by %s fails", { timeout: LIMIT_MS }, async (other) => {
    expect(await failures(declared, (engine) => swap(engine, engines.get(other)!))).toBe(RUNS);
  });

  test("embedding honestly passes, embedding by another precision or size does not", {
    timeout: LIMIT_MS,
  }, async () => {
    const [validator, profile] = [engines.get(declared)!, profiles.get(declared)!];
    expect(profile.embedding?.dimensions).toBe(validator.info().embeddingDimensions);
    for (const name of NAMES) {
      const executor = engines.get(name)!;
      // Vectors of another size fail by their bytes alone.
      if (executor.info().embeddingDimensions !== validator.info().embeddingDimensions) continue;
      const setting = { executor, validator, concurrency: 2 };
      for await (const { recorded, own } of embedBoth(setting, texts(20_261_123), RUNS)) {
        const { verdict } = scoreEmbedding(profile, [recorded], [own]);
        if (!isNear(declared, name)) expect([name, verdict]).toEqual([name, name === declared ? "pass" : "fail"]);
      }
    }
  });
});

/** How often substitutes are found, by number of tokens. */
import type { ArtifactCoding, Profile } from "@karat/rules";
import { launder, swap } from "../attack/attack.ts";
import type { InferenceEngine } from "../engine/engine.ts";
import { createLlamaEngine } from "../engine/llama/llamaEngine.ts";
import { runWorkload } from "./runs.ts";
import { evidenceOf, judge } from "./scores.ts";
import { type WorkItem, workload } from "./workload.ts";

export const DETECTION_LENGTHS = [16, 32, 64, 128] as const;

export interface Detection {
  attack: string;
  tokens: number;
  runs: number;
  /** Share of runs that failed at the profile's alphaFail. */
  detected: number;
  /** Share of runs with p ≤ 0.01, for comparison with other published rates. */
  detectedAtOnePercent: number;
}

/** Swaps in and launders through each substitute; temperature 0.7, no other restriction. `compared` are those of an unseeded profile. */
export async function* measureDetection(
  declared: InferenceEngine,
  profile: Profile,
  coding: ArtifactCoding,
  substitutes: readonly string[],
  runs: number,
  compared: readonly InferenceEngine[] = [],
): AsyncGenerator<Detection> {
  const stopTokenIds = new Set(declared.vocabulary.stopTokenIds);
  for (const path of substitutes) {
    const substitute = await createLlamaEngine({ modelPath: path, id: "substitute", contextSize: 1024 });
    const name = path.split("/").at(-1) ?? path;
    try {
      for (const [kind, executor] of [
        ["swap", swap(declared, substitute)],
        ["launder", launder(declared, substitute)],
      ] as const) {
        for (const tokens of DETECTION_LENGTHS) {
          let seen = 0;
          let detected = 0;
          let atOnePercent = 0;
          const setting = { name: kind, executor, validator: declared, substitutes: compared, concurrency: 4 };
          for await (const run of runWorkload(setting, texts(900 + tokens, tokens), 3 * runs, coding.k)) {
            if (run.answer.tokenIds.length !== tokens) continue; // stopped by itself
            const score = judge(profile, evidenceOf(run, coding, declared.vocabulary.size), stopTokenIds);
            seen++;
            if (score.verdict === "fail") detected++;
            if (score.p <= 0.01) atOnePercent++;
            if (seen === runs) break;
          }
          yield {
            attack: `${kind} ${name}`,
            tokens,
            runs: seen,
            detected: detected / seen,
            detectedAtOnePercent: atOnePercent / seen,
          };
        }
      }
    } finally {
      await substitute.close();
    }
  }
}

/** Texts of exactly the wanted length, unless they stop by themselves. */
function* texts(seed: number, tokens: number): Generator<WorkItem> {
  for (const item of workload(seed)) {
    if ("messages" in item.input) continue;
    const sampling = {
      ...item.sampling,
      temperatureMicros: 700_000,
      topPMicros: 1_000_000,
      topK: 64,
      minPMicros: 0,
      frequencyPenaltyMicros: 0,
    };
    yield { ...item, maxTokens: tokens, sampling };
  }
}

/** The declared model, its substitutes, and one trial: an executor answers, a validator judges by one prefill. */
import { gonkaDistance, type Profile, type SamplingParams, type Score } from "@karat/rules";
import { type Run, runWorkload } from "../../ml-node/src/calibrate/runs.ts";
import { type Evidence, evidenceOf, judge } from "../../ml-node/src/calibrate/scores.ts";
import { type WorkItem, workload } from "../../ml-node/src/calibrate/workload.ts";
import type { InferenceEngine } from "../../ml-node/src/engine/engine.ts";
import { createLlamaEngine } from "../../ml-node/src/engine/llama/llamaEngine.ts";
import { codingOf } from "../../ml-node/src/service/artifact.ts";
import { loadProfile } from "../../ml-node/src/service/profile.ts";

const models = new URL("../../models/", import.meta.url).pathname;

export interface Lab {
  declared: InferenceEngine;
  /** The same model, by other kernels and in small batches: the noisiest honest counterpart. */
  noisy: InferenceEngine;
  q8: InferenceEngine;
  q4: InferenceEngine;
  mini: InferenceEngine;
  profile: Profile;
  close(): Promise<void>;
}

export async function openLab(): Promise<Lab> {
  const open = (file: string, more: object = {}): Promise<InferenceEngine> =>
    createLlamaEngine({ modelPath: `${models}${file}`, id: "karat-tiny-f16", contextSize: 1024, ...more });
  const [declared, noisy, q8, q4, mini] = await Promise.all([
    open("karat-tiny-f16.gguf"),
    open("karat-tiny-f16.gguf", { batchSize: 64, flashAttention: false }),
    open("karat-tiny-q8_0.gguf"),
    open("karat-tiny-q4_0.gguf"),
    open("karat-mini-f16.gguf"),
  ]);
  const profile = await loadProfile(`${models}profiles/karat-tiny-f16.json`);
  const close = async (): Promise<void> => {
    await Promise.all([declared, noisy, q8, q4, mini].map((engine) => engine.close()));
  };
  return { declared, noisy, q8, q4, mini, profile, close };
}

export interface Trial {
  evidence: Evidence;
  score: Score;
  /** The nearest peer's metric on the same run, on unrounded values. */
  peer: number;
}

export interface TrialOptions {
  /** Wanted number; items whose answer is not of the wanted length are passed over, at most four times as many. */
  count: number;
  seed: number;
  /** Exact number of output tokens. Chats only where absent. */
  tokens?: number;
  sampling?: Partial<SamplingParams>;
  validator?: InferenceEngine;
  /** What the executor does to its answer before it delivers. */
  tamper?: (run: Run) => Run | undefined | Promise<Run | undefined>;
}

/** Trials of one executor. Temperature 0.7 and no restriction but the bounded support, unless `sampling` says otherwise. */
export async function trials(lab: Lab, executor: InferenceEngine, options: TrialOptions): Promise<Trial[]> {
  const { count, seed, tokens, tamper } = options;
  const coding = codingOf(lab.profile);
  const stops = new Set(lab.declared.vocabulary.stopTokenIds);
  const setting = { name: "attack", executor, validator: options.validator ?? lab.declared, concurrency: 4 };
  const found: Trial[] = [];
  for await (const run of runWorkload(setting, items(options), 4 * count, RECORDED)) {
    if (tokens !== undefined && run.answer.tokenIds.length !== tokens) continue;
    const delivered = tamper ? await tamper(run) : run;
    if (!delivered) continue;
    const evidence = evidenceOf(delivered, coding, lab.declared.vocabulary.size);
    const recorded = delivered.answer.positions.map(({ id, top }) => ({ id, top: top.slice(0, coding.k) }));
    found.push({
      evidence,
      score: judge(lab.profile, evidence, stops),
      peer: gonkaDistance(recorded, evidence.validator, coding.k),
    });
    if (found.length === count) break;
  }
  if (found.length < Math.min(count, 4)) throw new Error(`only ${found.length} trials of ${count}, seed ${seed}`);
  return found;
}

const RECORDED = 20;

function* items({ seed, tokens, sampling }: TrialOptions): Generator<WorkItem> {
  for (const item of workload(seed)) {
    if ("messages" in item.input !== (tokens === undefined)) continue;
    yield {
      ...item,
      maxTokens: tokens ?? 64,
      sampling: {
        ...item.sampling,
        temperatureMicros: 700_000,
        topPMicros: 1_000_000,
        topK: 64,
        minPMicros: 0,
        frequencyPenaltyMicros: 0,
        ...sampling,
      },
    };
  }
}

/** Has the validator's prefill done for an answer that was changed after it was made. */
export async function rescored(
  lab: Lab,
  run: Run,
  tokenIds: readonly number[],
  finish: Run["answer"]["finishReason"],
): Promise<Run> {
  const { promptIds } = run.answer;
  const validator = await lab.declared.score({ promptIds, outputIds: tokenIds, top: 72 });
  // A cheat that knows the protocol records what the declared model says of what it delivers.
  const positions = tokenIds.map((id, i) => ({
    id,
    logprob: validator[i]?.find((entry) => entry.id === id)?.logprob ?? -20,
    top: validator[i]?.slice(0, RECORDED) ?? [],
  }));
  return { ...run, validator, answer: { ...run.answer, tokenIds, positions, finishReason: finish } };
}

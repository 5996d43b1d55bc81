/** The declared model, its substitutes, and one trial: an executor answers, a validator judges by one prefill. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decodeArtifact, isRuleError, type Profile, type SamplingParams, type Score } from "@karat/rules";
import { type Run, runWorkload } from "../../ml-node/src/calibrate/runs.ts";
import { type Evidence, evidenceOf, judge } from "../../ml-node/src/calibrate/scores.ts";
import { type WorkItem, workload } from "../../ml-node/src/calibrate/workload.ts";
import type { InferenceEngine } from "../../ml-node/src/engine/engine.ts";
import { installedCpuVariants } from "../../ml-node/src/engine/llama/cpuVariant.ts";
import { createLlamaEngine } from "../../ml-node/src/engine/llama/llamaEngine.ts";
import { codingOf } from "../../ml-node/src/service/artifact.ts";
import { loadProfile } from "../../ml-node/src/service/profile.ts";
import { withoutLayer } from "./fewerLayers.ts";
import { type PeerScore, peerScore } from "./peer.ts";

const models = new URL("../../models/", import.meta.url).pathname;

/** Of the declared model. */
export const PROFILE = `${models}profiles/karat-tiny-f16.json`;

export interface Lab {
  declared: InferenceEngine;
  /** The same model by the kernels of an older CPU and in small batches: the noisiest honest counterpart. */
  noisy: InferenceEngine;
  q8: InferenceEngine;
  q4: InferenceEngine;
  mini: InferenceEngine;
  /** The declared weights with keys and values in 8 bits. */
  kv8: InferenceEngine;
  /** The declared weights with one layer of five left out. */
  shallow: InferenceEngine;
  profile: Profile;
  close(): Promise<void>;
}

export async function openLab(): Promise<Lab> {
  const folder = await mkdtemp(join(tmpdir(), "karat-attacks-"));
  const open = (modelPath: string, more: object = {}): Promise<InferenceEngine> =>
    createLlamaEngine({ modelPath, id: "karat-tiny-f16", contextSize: 1024, ...more });
  const older = (await installedCpuVariants()).includes(OLDER_CPU) ? { cpuVariant: OLDER_CPU } : {};
  const tiny = `${models}karat-tiny-f16.gguf`;
  const fewer = join(folder, "fewer-layers.gguf");
  await withoutLayer(tiny, 2, fewer);
  const opened = await Promise.all([
    open(tiny),
    open(tiny, { batchSize: 16, ...older }),
    open(`${models}karat-tiny-q8_0.gguf`),
    open(`${models}karat-tiny-q4_0.gguf`),
    open(`${models}karat-mini-f16.gguf`),
    open(tiny, { kvCache: "q8_0", flashAttention: true }),
    open(fewer),
  ] as const);
  const [declared, noisy, q8, q4, mini, kv8, shallow] = opened;
  const profile = await loadProfile(PROFILE);
  const close = async (): Promise<void> => {
    await Promise.all(opened.map((engine) => engine.close()));
    await rm(folder, { recursive: true, force: true });
  };
  return { declared, noisy, q8, q4, mini, kv8, shallow, profile, close };
}

/** AVX without AVX2: every 64-bit Intel or AMD of the last decade runs it, and none takes it by itself. */
const OLDER_CPU = "ivybridge";

export interface Trial {
  evidence: Evidence;
  score: Score;
  /** The nearest peer's metric on the same run, on unrounded values. */
  peer: PeerScore;
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
  /** What it does to the bytes of its record; `before` are those of its last answer. Committed to as they are. */
  tamperBytes?: (bytes: Uint8Array, before: Uint8Array | undefined) => Uint8Array | undefined;
}

/** Trials of one executor. Temperature 0.7 and no restriction but the bounded support, unless `sampling` says otherwise. */
export async function trials(lab: Lab, executor: InferenceEngine, options: TrialOptions): Promise<Trial[]> {
  const { count, seed, tokens, tamper, tamperBytes } = options;
  let before: Uint8Array | undefined;
  const coding = codingOf(lab.profile);
  const stops = new Set(lab.declared.vocabulary.stopTokenIds);
  const setting = { name: "attack", executor, validator: options.validator ?? lab.declared, concurrency: 4 };
  const found: Trial[] = [];
  for await (const run of runWorkload(setting, items(options), 4 * count, RECORDED)) {
    if (tokens !== undefined && run.answer.tokenIds.length !== tokens) continue;
    const delivered = tamper ? await tamper(run) : run;
    if (!delivered) continue;
    const honest = evidenceOf(delivered, coding, lab.declared.vocabulary.size);
    const bytes = tamperBytes ? tamperBytes(honest.artifactBytes, before) : honest.artifactBytes;
    before = honest.artifactBytes;
    if (!bytes) continue;
    const evidence = tamperBytes ? withBytes(honest, bytes, lab.declared.vocabulary.size) : honest;
    const recorded = delivered.answer.positions.map(({ id, top }) => ({ id, top: top.slice(0, coding.k) }));
    found.push({
      evidence,
      score: judge(lab.profile, evidence, stops),
      peer: peerScore(recorded, evidence.validator, coding.k),
    });
    if (found.length === count) break;
  }
  if (found.length < Math.min(count, 4)) throw new Error(`only ${found.length} trials of ${count}, seed ${seed}`);
  return found;
}

/** Bytes that do not decode are no record of any token, which is a failed check. */
function withBytes(evidence: Evidence, artifactBytes: Uint8Array, vocabularySize: number): Evidence {
  try {
    const { length } = evidence.run.answer.tokenIds;
    return {
      ...evidence,
      artifactBytes,
      artifact: decodeArtifact(artifactBytes, { length, vocabularySize }).positions,
    };
  } catch (error) {
    if (!isRuleError(error, "invalid_artifact")) throw error;
    return { ...evidence, artifactBytes, artifact: [] };
  }
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

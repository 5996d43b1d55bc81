/** What the engine and its child process say to each other over node's IPC channel (structured clone). */

import type { EmbedJob, GeneratedToken, GenerateJob, PromptInput, ScoreJob, TokenLogprob } from "../engine.ts";

export interface LoadOptions {
  modelPath: string;
  /** Tokens a sequence can hold. */
  contextSize: number;
  /** Sequences that share one context: concurrent jobs decode in one batch. */
  sequences: number;
  /** Tokens evaluated in one go; also bounds the logits kept in memory (batchSize × vocabulary × 4 bytes). */
  batchSize: number;
  threads: number;
  flashAttention?: boolean;
  /** Storage of keys and values. Default f16; q8_0 needs flash attention. */
  kvCache?: KvCacheType;
  /** The CPU build of llama.cpp to run, as `cpuVariant.ts` lists them. Default: the best for this machine. */
  cpuVariant?: string;
}

export const KV_CACHE_TYPES = ["f32", "f16", "q8_0"] as const;
export type KvCacheType = (typeof KV_CACHE_TYPES)[number];

export type EmbedRequest = Omit<EmbedJob, "onAccepted">;
export type GenerateRequest = Omit<GenerateJob, "onAccepted" | "prefixIds"> & { prefixIds: readonly number[] };

export type Request =
  | { type: "load"; options: LoadOptions }
  | { type: "render"; job: number; input: PromptInput }
  | ({ type: "generate"; job: number } & GenerateRequest)
  | ({ type: "score"; job: number } & ScoreJob)
  | ({ type: "embed"; job: number } & EmbedRequest)
  | { type: "cancel"; job: number }
  | { type: "close" };

export type Reply =
  | { type: "ready"; contextSize: number; stopTokenIds: number[]; build: string; embeddingDimensions?: number }
  | { type: "load_failed"; message: string }
  | { type: "ids"; job: number; ids: number[] }
  | { type: "token"; job: number; token: GeneratedToken }
  | { type: "positions"; job: number; positions: PackedPositions }
  | { type: "vectors"; job: number; vectors: Float32Array[] }
  /** The job is over and its sequence free again; comes after every job, whatever its outcome. */
  | { type: "done"; job: number }
  | { type: "error"; job: number; code: string; message: string };

/** Positions of a scored output as flat arrays: entry `e` belongs to position `p` where offsets[p] ≤ e < offsets[p + 1]. */
export interface PackedPositions {
  offsets: Int32Array;
  ids: Int32Array;
  logprobs: Float64Array;
}

export function packPositions(positions: readonly (readonly TokenLogprob[])[]): PackedPositions {
  const offsets = new Int32Array(positions.length + 1);
  positions.forEach((entries, p) => {
    offsets[p + 1] = offsets[p]! + entries.length;
  });
  const all = positions.flat();
  return { offsets, ids: Int32Array.from(all, (e) => e.id), logprobs: Float64Array.from(all, (e) => e.logprob) };
}

export function unpackPositions({ offsets, ids, logprobs }: PackedPositions): TokenLogprob[][] {
  const positions: TokenLogprob[][] = [];
  for (let p = 0; p + 1 < offsets.length; p++) {
    const entries: TokenLogprob[] = [];
    for (let e = offsets[p]!; e < offsets[p + 1]!; e++) entries.push({ id: ids[e]!, logprob: logprobs[e]! });
    positions.push(entries);
  }
  return positions;
}

import type { ArtifactStep } from "../artifact.ts";
import { RuleError } from "../errors.ts";

/** Honest scores of outputs of `from` to `to` tokens, each list sorted from small to large. */
export interface ProfileBucket {
  readonly from: number;
  /** Included; null means no end. */
  readonly to: number | null;
  readonly distance: readonly number[];
  readonly scan: readonly number[];
  readonly gumbel: readonly number[];
}

/** What honest runs of one model on one numerical profile look like. Written by the calibrator, read by validators. */
export interface Profile {
  readonly version: 3;
  readonly model: string;
  readonly weightsSha256: string;
  readonly quantization: string;
  readonly engine: string;
  /** Storage of keys and values: as much a part of what the profile is of as the weights are. */
  readonly kvCache: string;
  readonly step: ArtifactStep;
  readonly k: number;
  /** Honest spread of a position's recorded values around the validator's, in nats, their rounding included: the unit of D. */
  readonly sigmaH: number;
  /** Honest noise of one logit between executor and validator, in nats, without any rounding: the unit of G. */
  readonly sigmaLogit: number;
  /** A check fails at p ≤ this. */
  readonly alphaFail: number;
  /** Outputs shorter than this are abstained from unless they fail. */
  readonly minPositions: number;
  /** The settings of executor and validator that the honest runs were made in, and how many of them in each. */
  readonly settings: readonly { readonly name: string; readonly runs: number }[];
  /** What is not honest by this profile although it may be meant so, and why. */
  readonly excluded: readonly { readonly what: string; readonly reason: string }[];
  /** Runs that were not used for the scores, and how many of them failed. */
  readonly heldOut: { readonly runs: number; readonly fails: number };
  readonly buckets: readonly ProfileBucket[];
  /** Where executors choose tokens by themselves and not by the seed: what replaces G. */
  readonly unseeded?: UnseededProfile;
  /** Where the model gives embeddings. */
  readonly embedding?: EmbeddingProfile;
}

export interface EmbeddingProfile {
  readonly dimensions: number;
  /** Distances of one vector between honest executor and validator, sorted from small to large. */
  readonly distances: readonly number[];
}

export interface UnseededProfile {
  /** The models that tokens are compared with, in the order of the scores: what a cheat would run instead. */
  readonly substitutes: readonly { readonly name: string; readonly weightsSha256: string }[];
  /** Honest scores of likelihood by length, as in the profile's buckets. */
  readonly buckets: readonly { readonly from: number; readonly scores: readonly number[] }[];
}

/** Lengths, in tokens, from which each bucket begins. */
export const BUCKET_STARTS = [1, 16, 32, 64, 128, 256] as const;

const LEAST_RUNS = 20;

/** Index of the bucket of an output's length. */
export function bucketIndex(length: number): number {
  let index = 0;
  for (const [i, start] of BUCKET_STARTS.entries()) if (length >= start) index = i;
  return index;
}

/** Throws `invalid_profile` when a length has no honest runs behind it. */
export function bucketOf(profile: Profile, length: number): ProfileBucket {
  const start = BUCKET_STARTS[bucketIndex(length)];
  const bucket = profile.buckets.find(({ from }) => from === start);
  if (bucket === undefined || bucket.distance.length < LEAST_RUNS) {
    throw new RuleError("invalid_profile", "buckets", "too few honest runs of this length", { length });
  }
  return bucket;
}

/** Honest scores of likelihood for an output's length; throws `invalid_profile` where there are too few. */
export function likelihoodScores({ buckets }: UnseededProfile, length: number): readonly number[] {
  const start = BUCKET_STARTS[bucketIndex(length)];
  const scores = buckets.find(({ from }) => from === start)?.scores ?? [];
  if (scores.length < LEAST_RUNS) {
    throw new RuleError("invalid_profile", "unseeded", "too few honest runs of this length", { length });
  }
  return scores;
}

/**
 * Conformal p-value of a score among n sorted honest ones: (1 + #{cal ≥ s}) / (n + 1). Beyond the largest the tail is
 * taken as exponential with the mean excess of the top tenth (at least `minScale`), and p is never claimed below
 * 1 / (10 n).
 */
export function conformalP(sorted: readonly number[], score: number, minScale: number): number {
  const n = sorted.length;
  if (n === 0) return 1;
  let low = 0;
  let high = n;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! < score) low = middle + 1;
    else high = middle;
  }
  if (low < n) return (1 + n - low) / (n + 1);
  const largest = sorted[n - 1]!;
  const tail = sorted.slice(Math.floor(n * 0.9));
  const excess = tail.reduce((sum, value) => sum + value - tail[0]!, 0) / tail.length;
  const p = Math.exp(-(score - largest) / Math.max(excess, minScale)) / (n + 1);
  return Math.max(p, leastP(sorted));
}

/** The smallest p-value that so many honest runs support. */
export const leastP = (sorted: readonly number[]): number => 1 / (10 * sorted.length);

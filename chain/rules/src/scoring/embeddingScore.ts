/** The check of an embedding: how far its vectors are from the validator's own. Off chain, floats. */
import { vectorDistance } from "../embedding.ts";
import { conformalP, leastP, type Profile } from "./profile.ts";
import { bucketOfP } from "./verdict.ts";

export interface EmbeddingScore {
  readonly verdict: "pass" | "fail" | "abstain";
  readonly reason: "ok" | "distance" | "uncalibrated";
  readonly p: number;
  /** ⌈−log2 p⌉, 0 … 10. */
  readonly pBucket: number;
  /** Largest and mean distance of a vector. */
  readonly largest: number;
  readonly mean: number;
}

/** Scale of the tail beyond the largest honest distance, at the least: rounding of 32-bit floats. */
const LEAST_SCALE = 1e-5;
/** So many times the largest honest distance (and at the least so far) is explained by no number of vectors. */
const BEYOND = 8;
const LEAST_BEYOND = 1e-3;

/**
 * Both sides have as many vectors of as many dimensions, one or more. The largest of n distances finds the one that is false: each vector is a
 * look of its own, so that its p counts n times. Their median finds what all of them share, whatever n is.
 */
export function scoreEmbedding(
  { alphaFail, embedding }: Pick<Profile, "alphaFail" | "embedding">,
  recorded: readonly Float32Array[],
  own: readonly Float32Array[],
): EmbeddingScore {
  const distances = recorded.map((vector, i) => vectorDistance(vector, own[i]!));
  const largest = Math.max(...distances);
  const mean = distances.reduce((sum, distance) => sum + distance, 0) / distances.length;
  const honest = embedding?.distances ?? [];
  if (honest.length === 0) return { verdict: "abstain", reason: "uncalibrated", p: 1, pBucket: 0, largest, mean };
  const isBeyond = largest > BEYOND * Math.max(honest.at(-1)!, LEAST_BEYOND);
  const p = isBeyond ? leastP(honest) : Math.min(1, pOf(distances, honest));
  const numbers = { p, pBucket: bucketOfP(p), largest, mean };
  if (p <= alphaFail) return { ...numbers, verdict: "fail", reason: "distance" };
  // A check that no distance could have failed is not a pass.
  if (leastP(honest) > alphaFail) return { ...numbers, verdict: "abstain", reason: "uncalibrated" };
  return { ...numbers, verdict: "pass", reason: "ok" };
}

/**
 * By Markov's inequality on how many are so far, and so also where all have the same cause: at least k of n distances reach what a single one
 * reaches with probability p with a probability of n/k · p at most. Looked at twice: of the rate of false alarms k = 1 has 7/8 and k = n/2 the
 * rest, as it has p to spare; up to two vectors once.
 */
function pOf(distances: readonly number[], honest: readonly number[]): number {
  const sorted = distances.toSorted((a, b) => b - a);
  const atLeast = (k: number): number => (sorted.length / k) * conformalP(honest, sorted[k - 1]!, LEAST_SCALE);
  if (sorted.length <= 2) return atLeast(1);
  return Math.min((8 / 7) * atLeast(1), 8 * atLeast(Math.ceil(sorted.length / 2)));
}

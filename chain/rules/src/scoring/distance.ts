/** D: how far the recorded log-probabilities are from the validator's own (verification.md §4). Off chain, floats. */

import type { TokenLogit } from "../allowedSet.ts";
import { type ArtifactPosition, FLOOR_NATS, type PositionValues } from "../artifact.ts";

/** A position says at most this many σ: outliers belong to the peak, not to the mean. */
const CAP_SIGMAS = 5;
const SCAN_WINDOWS = [16, 32] as const;

export interface DistanceStatistics {
  /** Positions with at least two values above the floor; the others say nothing. */
  readonly positions: number;
  /** Mean of min(s_i, 5 σ), in nats. */
  readonly mean: number;
  /** The largest mean of a window of 16 or 32 scored positions: spliced outputs. */
  readonly scan: number;
  /** Third-largest s_i, uncapped: forged positions. */
  readonly peak: number;
}

/**
 * The validator's values are taken in the artifact's order: the chosen token against its own value, the others by their order. At
 * each position the differences are centred by their mean, which removes the normaliser, and s_i is their standard deviation.
 * Where both sides are at the floor there is nothing to compare.
 */
export function distance(
  recorded: readonly PositionValues[],
  ids: readonly number[],
  validator: readonly (readonly TokenLogit[])[],
  sigmaH: number,
): DistanceStatistics {
  const spreads: number[] = [];
  for (const [i, position] of recorded.entries()) {
    const spread = spreadOf(position, ids[i] ?? -1, validator[i] ?? []);
    if (spread !== undefined) spreads.push(spread);
  }
  const capped = spreads.map((s) => Math.min(s, CAP_SIGMAS * sigmaH));
  return {
    positions: spreads.length,
    mean: meanOf(capped),
    scan: Math.max(meanOf(capped), ...SCAN_WINDOWS.map((width) => largestWindow(capped, width))),
    peak: spreads.toSorted((a, b) => b - a)[Math.min(2, spreads.length - 1)] ?? 0,
  };
}

/** Spread of the differences of one position; undefined with fewer than two values above the floor. */
export function spreadOf(
  { rank, values }: PositionValues,
  chosen: number,
  validator: readonly TokenLogit[],
): number | undefined {
  const others = validator
    .filter(([id]) => id !== chosen)
    .map(([, value]) => value)
    .sort((a, b) => b - a);
  const own = validator.find(([id]) => id === chosen)?.[1] ?? -FLOOR_NATS;
  const differences: number[] = [];
  for (const [i, value] of values.entries()) {
    const mine = i === rank ? own : (others[i < rank ? i : i - 1] ?? -FLOOR_NATS);
    if (clamp(value) > -FLOOR_NATS || clamp(mine) > -FLOOR_NATS) differences.push(clamp(value) - clamp(mine));
  }
  if (differences.length < 2) return undefined;
  const mean = meanOf(differences);
  return Math.sqrt(differences.reduce((sum, d) => sum + (d - mean) ** 2, 0) / (differences.length - 1));
}

const clamp = (logprob: number): number => Math.max(-FLOOR_NATS, logprob);

const meanOf = (values: readonly number[]): number =>
  values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;

function largestWindow(values: readonly number[], width: number): number {
  if (values.length < width) return 0;
  let sum = 0;
  let largest = 0;
  for (const [i, value] of values.entries()) {
    sum += value - (values[i - width] ?? 0);
    if (i >= width - 1) largest = Math.max(largest, sum / width);
  }
  return largest;
}

/**
 * The nearest peer's metric, for comparison on the same runs: mean over the validator's first k of
 * |v − b| / (10^-6 + |v| + |b|) / 2 with max(100, N) in the denominator, on values with ids, as that peer records them; a token that
 * the executor does not list gets the extrapolation m1 − (m2 − m1) of its two lowest values.
 */
export function gonkaDistance(
  recorded: readonly ArtifactPosition[],
  validator: readonly (readonly TokenLogit[])[],
  k: number,
): number {
  let sum = 0;
  for (const [i, { top }] of recorded.entries()) {
    const listed = new Map(top.map(({ id, logprob }) => [id, logprob]));
    const lowest = top.map(({ logprob }) => logprob).sort((a, b) => a - b);
    const extrapolated = (lowest[0] ?? 0) - ((lowest[1] ?? lowest[0] ?? 0) - (lowest[0] ?? 0));
    const first = (validator[i] ?? []).toSorted((a, b) => b[1] - a[1]).slice(0, k);
    for (const [id, v] of first) {
      const b = listed.get(id) ?? extrapolated;
      sum += Math.abs(v - b) / (1e-6 + Math.abs(v) + Math.abs(b)) / 2;
    }
  }
  return sum / (Math.max(100, recorded.length) * k);
}

/** Rates of a set of trials, of ours and of the nearest peer's metric. */

import type { Trial } from "./lab.ts";
import type { Attack } from "./suite.ts";

export interface Outcome {
  id: string;
  name: string;
  tokens?: number;
  honest: boolean;
  promise?: number;
  runs: number;
  /** Verdict `fail`, at the profile's alphaFail. */
  failed: number;
  /** p ≤ 1 %. */
  atOnePercent: number;
  /** The peer's metric above the largest 1 % of honest runs of that length; undefined without such runs. */
  peer?: number;
}

/** The value that 1 % of honest runs exceed. */
export function peerThreshold(honest: readonly Trial[]): number {
  const sorted = honest.map(({ peer }) => peer).sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * 0.99) - 1)] ?? Number.POSITIVE_INFINITY;
}

export function outcomeOf(attack: Attack, found: readonly Trial[], threshold?: number): Outcome {
  const { id, name, tokens, promise, honest = false } = attack;
  return {
    id,
    name,
    honest,
    ...(tokens !== undefined && { tokens }),
    ...(promise !== undefined && { promise }),
    runs: found.length,
    failed: found.filter(({ score }) => score.verdict === "fail").length,
    atOnePercent: found.filter(({ score }) => score.p <= 0.01).length,
    ...(threshold !== undefined && { peer: found.filter(({ peer }) => peer > threshold).length }),
  };
}

/** Whether an outcome keeps its promise; without one it is only reported. */
export function kept({ honest, promise, runs, failed, atOnePercent }: Outcome): boolean {
  if (promise === undefined) return true;
  return honest ? failed <= promise * runs : atOnePercent >= promise * runs;
}

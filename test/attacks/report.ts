/** Rates of a set of trials, of ours and of the nearest peer's metric. */

import { cpus } from "node:os";
import type { Attack } from "./attack.ts";
import type { Trial } from "./lab.ts";

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
  /** The peer's metric above what 1 % of honest runs of that length exceed; undefined without such runs. */
  peer?: number;
  /** The same by the peer's rule of October 2026. */
  peer2026?: number;
  /** What else was counted. */
  note?: string;
  /** Day and processor. */
  measured?: string;
}

/** Trials of an attack that is no answer of a model. */
export interface Rate {
  id: string;
  name: string;
  counted: string;
  honest: boolean;
  promise?: number;
  runs: number;
  found: number;
  /** Day and processor. */
  measured: string;
}

export const rateKept = ({ honest, promise, runs, found }: Rate): boolean =>
  promise === undefined || (honest ? found <= promise * runs : found >= promise * runs);

/** Day and processor, as rows name them. */
export const measuredHere = (): string =>
  `${new Date().toISOString().slice(0, 10)}, ${cpus()[0]?.model ?? "unknown processor"}`;

export interface PeerThresholds {
  distance: number;
  distance2026: number;
}

/** The values that 1 % of honest runs exceed. */
export function peerThresholds(honest: readonly Trial[]): PeerThresholds {
  return {
    distance: exceededByOnePercent(honest.map(({ peer }) => peer.distance)),
    distance2026: exceededByOnePercent(honest.map(({ peer }) => peer.distance2026)),
  };
}

function exceededByOnePercent(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * 0.99) - 1)] ?? Number.POSITIVE_INFINITY;
}

export function outcomeOf(attack: Attack, found: readonly Trial[], thresholds?: PeerThresholds): Outcome {
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
    ...(thresholds && {
      peer: found.filter(({ peer }) => peer.distance > thresholds.distance).length,
      peer2026: found.filter(({ peer }) => peer.rejected2026 || peer.distance2026 > thresholds.distance2026).length,
    }),
    ...(attack.note && { note: attack.note() }),
  };
}

/** Whether an outcome keeps its promise; without one it is only reported. */
export function kept({ honest, promise, runs, failed, atOnePercent }: Outcome): boolean {
  if (promise === undefined) return true;
  return honest ? failed <= promise * runs : atOnePercent >= promise * runs;
}

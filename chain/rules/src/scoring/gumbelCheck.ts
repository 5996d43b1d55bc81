/** G: whether the tokens are those that the seed demands on the validator's own logits (verification.md §2, §4). */
import type { TokenLogit } from "../allowedSet.ts";
import { margin } from "../sampling.ts";
import type { SamplingParams } from "../samplingParams.ts";

export interface GumbelStatistics {
  /** Those where there was a choice; a token that was the only one allowed says nothing. */
  readonly positions: number;
  /** Positions whose token is not the demanded one. */
  readonly flips: number;
  /** Positions with a margin above τ = 4·√2·σ, σ of the logits. */
  readonly gatedMargins: number;
  /**
   * Sum of min(m, 1) over them, in nats, beyond 256 positions per 256: the score. Honest noise makes no large margins, a
   * foreign model does; the sum grows with the length, and no honest run of the same length may stand behind a long output.
   */
  readonly score: number;
  /** Mean of min(m, 1) over the positions. */
  readonly meanMargin: number;
  /** The largest margin where the output ended and the seed did not demand it, or went on where it demanded the end. */
  readonly finishMargin: number;
}

/** From this many positions on, scores are per so many. */
export const LONGEST_UNIT = 256;

/** The gate: differences of two noisy logits stay below it. */
export const gateOf = (sigmaLogit: number): number => 4 * Math.SQRT2 * sigmaLogit;

/**
 * Never reads the artifact. `validator` must cover the top-k and the chosen token of every position, of the tokens that the request's
 * constraint allows there. Without `stopTokenIds` the finish is not looked at. `prefixIds` are the output tokens before these, of
 * another executor: they move the positions and count for the penalties.
 */
export function gumbelCheck(
  params: SamplingParams,
  seed: Uint8Array,
  ids: readonly number[],
  validator: readonly (readonly TokenLogit[])[],
  sigmaLogit: number,
  stopTokenIds: ReadonlySet<number> = new Set(),
  prefixIds: readonly number[] = [],
): GumbelStatistics {
  const gate = gateOf(sigmaLogit);
  const previous = countsOf(prefixIds);
  let flips = 0;
  let gatedMargins = 0;
  let score = 0;
  let sum = 0;
  let finishMargin = 0;
  let positions = 0;
  for (const [position, id] of ids.entries()) {
    const logits = validator[position] ?? [];
    const { margin: m, demanded } = margin(params, seed, prefixIds.length + position, logits, id, previous);
    if (logits.length > 1) positions += 1;
    const clipped = Math.min(m, 1);
    if (m > 0) flips += 1;
    if (m > gate) {
      gatedMargins += 1;
      score += clipped;
    }
    sum += clipped;
    if (stopTokenIds.has(id) !== stopTokenIds.has(demanded)) finishMargin = Math.max(finishMargin, m);
    previous.set(id, (previous.get(id) ?? 0) + 1);
  }
  return {
    positions,
    flips,
    gatedMargins,
    score: score / Math.max(1, positions / LONGEST_UNIT),
    meanMargin: positions === 0 ? 0 : sum / positions,
    finishMargin,
  };
}

/** How often each token stands in a text, as the penalties count it. */
export function countsOf(ids: readonly number[]): Map<number, number> {
  const counts = new Map<number, number>();
  for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1);
  return counts;
}

/** The statistics of several outputs as those of one. */
export function joinSampling(parts: readonly GumbelStatistics[]): GumbelStatistics {
  const unitsOf = (positions: number): number => Math.max(1, positions / LONGEST_UNIT);
  const sum = (value: (part: GumbelStatistics) => number): number => parts.reduce((all, part) => all + value(part), 0);
  const positions = sum((part) => part.positions);
  return {
    positions,
    flips: sum((part) => part.flips),
    gatedMargins: sum((part) => part.gatedMargins),
    score: sum((part) => part.score * unitsOf(part.positions)) / unitsOf(positions),
    meanMargin: positions === 0 ? 0 : sum((part) => part.meanMargin * part.positions) / positions,
    finishMargin: Math.max(0, ...parts.map((part) => part.finishMargin)),
  };
}

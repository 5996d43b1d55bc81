import { exp, ln } from "./elementary.ts";
import { RuleError } from "./errors.ts";
import { MICROS, type SamplingParams, temperatureOf } from "./samplingParams.ts";

/** [token id, logit]. Raw log-probabilities do as well: only differences count. −Infinity means masked. */
export type TokenLogit = readonly [id: number, logit: number];
/** Token id → how often it has occurred in the output so far. */
export type TokenCounts = ReadonlyMap<number, number>;

export interface Ranked {
  readonly id: number;
  readonly raw: number;
  /** After penalties. */
  readonly logit: number;
}

/** Who may be chosen at a position, and what the edge of that set is. */
export interface Restricted {
  /** Every unmasked token, by falling raw logit. */
  readonly all: readonly Ranked[];
  /** By falling adjusted logit. */
  readonly allowed: readonly Ranked[];
  /** Probability mass before each allowed token, at the request's temperature, of the mass of the top-k set. */
  readonly massBefore: ReadonlyMap<number, number>;
  /** Raw logit of the last token that top-k lets in, and of the first it does not (where the caller gave one). */
  readonly lastInside: number;
  readonly firstOutside: number | undefined;
  /** True when top-p or min-p took something away. */
  readonly truncated: boolean;
}

export function restrict(params: SamplingParams, logits: readonly TokenLogit[], counts?: TokenCounts): Restricted {
  const all = rank(params, logits, counts);
  const topK = all.slice(0, params.topK);
  const candidates = topK.toSorted(byLogit);
  const best = candidates[0]!;
  const temperature = temperatureOf(params);
  const kept: Ranked[] = [];
  const massBefore = new Map<number, number>();
  if (temperature === 0 || (params.topPMicros === MICROS && params.minPMicros === 0)) {
    kept.push(...candidates);
  } else {
    const weights = candidates.map((token) => exp((token.logit - best.logit) / temperature));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    const minWeight = params.minPMicros / MICROS;
    const topMass = (params.topPMicros / MICROS) * total;
    let mass = 0;
    for (const [i, token] of candidates.entries()) {
      // With top-p = 1 a token of vanishing weight must not fall to the rounding of the sum.
      const outsideTopP = params.topPMicros < MICROS && mass >= topMass;
      if (i > 0 && (outsideTopP || weights[i]! < minWeight)) break;
      kept.push(token);
      massBefore.set(token.id, mass / total);
      mass += weights[i]!;
    }
  }
  return {
    all,
    allowed: kept,
    massBefore,
    lastInside: topK[topK.length - 1]!.raw,
    firstOutside: all[params.topK]?.raw,
    truncated: kept.length < candidates.length,
  };
}

function rank(params: SamplingParams, logits: readonly TokenLogit[], counts?: TokenCounts): Ranked[] {
  const ranked: Ranked[] = [];
  for (const [id, raw] of logits) {
    if (Number.isNaN(raw) || raw === Number.POSITIVE_INFINITY) {
      throw new RuleError("invalid_logits", "logits", "a logit is not a number", { id });
    }
    if (raw !== Number.NEGATIVE_INFINITY) ranked.push({ id, raw, logit: penalised(params, id, raw, counts) });
  }
  if (ranked.length === 0) throw new RuleError("invalid_logits", "logits", "no token may be chosen");
  return ranked.sort((a, b) => b.raw - a.raw || a.id - b.id);
}

function byLogit(a: Ranked, b: Ranked): number {
  return b.logit - a.logit || a.id - b.id;
}

/** A logit after the frequency and presence penalties of the OpenAI API. */
export function penalised(params: SamplingParams, id: number, logit: number, counts?: TokenCounts): number {
  const count = counts?.get(id) ?? 0;
  if (count === 0) return logit;
  return logit - (params.presencePenaltyMicros + params.frequencyPenaltyMicros * count) / MICROS;
}

/** How far a token's logit is below the edge of the allowed set; 0 inside. */
export function distanceToEdge(token: Ranked, { allowed, lastInside, truncated }: Restricted): number {
  const belowTopK = lastInside - token.raw;
  const belowRest = truncated ? allowed[allowed.length - 1]!.logit - token.logit : 0;
  return Math.max(0, belowTopK, belowRest);
}

/** The smallest shift of logits that would put an allowed token outside. Infinite where nothing bounds the set. */
export function distanceInside(
  token: Ranked,
  params: SamplingParams,
  temperature: number,
  { allowed, massBefore, firstOutside }: Restricted,
): number {
  const toTopK = firstOutside === undefined ? Number.POSITIVE_INFINITY : token.raw - firstOutside;
  if (temperature === 0) return toTopK;
  const best = allowed[0]!;
  if (token.id === best.id) return toTopK; // the most likely token is never cut by top-p or min-p
  let distance = toTopK;
  if (params.minPMicros > 0) {
    distance = Math.min(distance, token.logit - best.logit - temperature * ln(params.minPMicros / MICROS));
  }
  const before = massBefore.get(token.id) ?? 0;
  if (params.topPMicros > 0 && params.topPMicros < MICROS && before > 0) {
    // Everything ahead of the token rises together until it holds top-p of the mass.
    const topP = params.topPMicros / MICROS;
    const shift = ln(topP / (1 - topP)) - ln(before / (1 - before));
    distance = Math.min(distance, temperature * shift);
  }
  return Math.max(0, distance);
}

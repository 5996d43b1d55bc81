/**
 * S and named alternatives: whether tokens look drawn from the model's own distribution, for engines that choose them by themselves
 * (verification.md §2). Weaker than G: a substitute is seen only as far as it is likelier than the model, and only among those named.
 */
import { distanceToEdge, restrict, type TokenCounts, type TokenLogit } from "../allowedSet.ts";
import { exp, ln } from "../elementary.ts";
import { type SamplingParams, temperatureOf } from "../samplingParams.ts";
import { countsOf } from "./gumbelCheck.ts";

/** The declared model at other temperatures than the request's. */
const OWN_TILTS = [0.5, 0.7, 0.85, 1.2, 1.5, 2] as const;
/** A substitute that is run hotter or cooler, so that its surprise is as large as the model's. */
const SUBSTITUTE_TILTS = [0.55, 0.75, 1, 1.3] as const;
/** Most that one token can say: noise at the edge of the allowed set is no proof. */
const MOST_PER_TOKEN = 6;
/** A token of which nothing is known, below the best one: nobody draws it. */
const NEVER = -50;

export interface LikelihoodStatistics {
  /** Those where there was a choice. */
  readonly positions: number;
  /** Σ (surprisal − entropy) and Σ variance of the surprisal, in nats and nats². */
  readonly excess: number;
  readonly variance: number;
  /** Σ ln q(x)/p(x) of each alternative: of the model at other temperatures first, then of each substitute at each of its own. */
  readonly logRatios: readonly number[];
}

export interface LikelihoodInput {
  readonly params: SamplingParams;
  readonly ids: readonly number[];
  readonly prefixIds?: readonly number[];
  /** Per position the validator's [id, logit]: the allowed set and the chosen token. */
  readonly validator: readonly (readonly TokenLogit[])[];
  /** The same of each named substitute. */
  readonly substitutes: readonly (readonly (readonly TokenLogit[])[])[];
}

/** Only for temperatures above 0: where nothing is drawn, G sees all there is without a seed. */
export function likelihoodCheck(input: LikelihoodInput): LikelihoodStatistics {
  const { params, ids, validator, substitutes } = input;
  const temperature = temperatureOf(params);
  const counts = countsOf(input.prefixIds ?? []);
  const logRatios = new Array<number>(OWN_TILTS.length + substitutes.length * SUBSTITUTE_TILTS.length).fill(0);
  let positions = 0;
  let excess = 0;
  let variance = 0;
  for (const [i, id] of ids.entries()) {
    const logits = validator[i] ?? [];
    if (logits.length > 1) {
      positions++;
      const own = new Distribution(params, logits, counts, id);
      const surprisal = -own.logProbability(temperature);
      const { entropy, spread } = own.moments(temperature);
      excess += Math.min(surprisal, entropy + MOST_PER_TOKEN) - entropy;
      variance += spread;
      const logQs = [
        ...OWN_TILTS.map((tilt) => own.logProbability(temperature * tilt)),
        ...substitutes.flatMap((substitute) => {
          const other = new Distribution(params, substitute[i] ?? logits, counts, id);
          return SUBSTITUTE_TILTS.map((tilt) => other.logProbability(temperature * tilt));
        }),
      ];
      for (const [j, logQ] of logQs.entries()) {
        logRatios[j]! += Math.max(-MOST_PER_TOKEN, Math.min(MOST_PER_TOKEN, logQ + surprisal));
      }
    }
    counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  return { positions, excess, variance, logRatios };
}

/** The statistics of several outputs as those of one; all by the same alternatives. */
export function joinLikelihood(parts: readonly LikelihoodStatistics[]): LikelihoodStatistics {
  const sum = (value: (part: LikelihoodStatistics) => number): number =>
    parts.reduce((all, part) => all + value(part), 0);
  return {
    positions: sum((part) => part.positions),
    excess: sum((part) => part.excess),
    variance: sum((part) => part.variance),
    logRatios: (parts[0]?.logRatios ?? []).map((_, j) => sum((part) => part.logRatios[j]!)),
  };
}

/** S: about standard normal for an honest sampler. */
export const surprisalZ = ({ excess, variance }: LikelihoodStatistics): number =>
  variance === 0 ? 0 : excess / Math.sqrt(variance);

/**
 * ln of the mean of the alternatives' likelihood ratios: an honest sampler reaches s with probability e^−s at most (Markov), and
 * mostly far less. In nats.
 */
export function likelihoodScore({ logRatios }: LikelihoodStatistics): number {
  if (logRatios.length === 0) return 0;
  const largest = Math.max(...logRatios);
  return largest + ln(logRatios.reduce((sum, ratio) => sum + exp(ratio - largest), 0) / logRatios.length);
}

/** What a model's sampler draws one token from, and the chosen token's place in it. */
class Distribution {
  /** Of the allowed tokens, below the best; its own is 0. */
  readonly #logits: readonly number[];
  readonly #chosen: number;

  constructor(params: SamplingParams, logits: readonly TokenLogit[], counts: TokenCounts, id: number) {
    const restricted = restrict(params, logits, counts);
    const { allowed, all } = restricted;
    const best = allowed[0]!.logit;
    this.#logits = allowed.map(({ logit }) => logit - best);
    const inside = allowed.find((token) => token.id === id);
    const chosen = inside ?? all.find((token) => token.id === id);
    // A token outside is as likely as the last one inside, less what it is short of the edge.
    const edge = allowed.at(-1)!.logit;
    const known = inside?.logit ?? (chosen && edge - distanceToEdge(chosen, restricted));
    this.#chosen = known === undefined ? NEVER : Math.max(NEVER, known - best);
  }

  /** ln of the chosen token's probability, in nats. */
  logProbability(temperature: number): number {
    return this.#chosen / temperature - ln(this.#mass(temperature));
  }

  /** Entropy of the distribution, in nats, and the variance of a token's surprisal. */
  moments(temperature: number): { entropy: number; spread: number } {
    const logMass = ln(this.#mass(temperature));
    let entropy = 0;
    let square = 0;
    for (const logit of this.#logits) {
      const surprisal = logMass - logit / temperature;
      const probability = exp(-surprisal);
      entropy += probability * surprisal;
      square += probability * surprisal * surprisal;
    }
    return { entropy, spread: Math.max(0, square - entropy * entropy) };
  }

  #mass(temperature: number): number {
    return this.#logits.reduce((sum, logit) => sum + exp(logit / temperature), 0);
  }
}

/** One check: finish binding, D and G against the model's profile, and the verdict (verification.md §2, §4). */

import type { TokenLogit } from "../allowedSet.ts";
import type { PositionValues } from "../artifact.ts";
import { RuleError } from "../errors.ts";
import type { SamplingParams } from "../samplingParams.ts";
import { type DistanceStatistics, distance } from "./distance.ts";
import { type GumbelStatistics, gateOf, gumbelCheck, joinSampling, LONGEST_UNIT } from "./gumbelCheck.ts";
import { joinLikelihood, type LikelihoodStatistics, likelihoodCheck, likelihoodScore } from "./likelihood.ts";
import { bucketOf, conformalP, leastP, likelihoodScores, type Profile, type UnseededProfile } from "./profile.ts";

export type FinishName = "stop" | "length" | "stop_sequence" | "cancelled";

export interface ScoreInput {
  readonly profile: Profile;
  readonly params: SamplingParams;
  readonly seed: Uint8Array;
  /** The output, its final stop token included. */
  readonly ids: readonly number[];
  /** Output tokens before them that another executor gave: forced on this one, and not judged. */
  readonly prefixIds?: readonly number[];
  /** As decoded from the executor's artifact, as many as ids. */
  readonly artifact: readonly PositionValues[];
  /** Per position the validator's [id, logprob]: at least the 64 highest and the chosen one. */
  readonly validator: readonly (readonly TokenLogit[])[];
  /** Of these, what the request's constraint lets the sampler choose from, biased; `validator` itself where there is no constraint. */
  readonly candidates?: readonly (readonly TokenLogit[])[];
  /** Of each substitute that an unseeded profile names, what `candidates` is of the declared model. */
  readonly substitutes?: readonly (readonly (readonly TokenLogit[])[])[];
  readonly finishReason: FinishName;
  /** Of the whole answer, prefix included. */
  readonly maxTokens: number;
  readonly stopTokenIds: ReadonlySet<number>;
}

export interface Score {
  readonly verdict: "pass" | "fail" | "abstain";
  /** Why it failed or was abstained from: `short` of tokens, `uncalibrated` by too few honest runs; `ok` for a pass. */
  readonly reason: "ok" | "finish" | "tokens" | "distance" | "sampling" | "short" | "uncalibrated";
  readonly p: number;
  /** ⌈−log2 p⌉, 0 … 10. */
  readonly pBucket: number;
  readonly pDistance: number;
  readonly pSampling: number;
  readonly distance: DistanceStatistics;
  readonly sampling: GumbelStatistics;
  /** Where tokens are not bound to the seed. */
  readonly likelihood?: LikelihoodStatistics;
}

const NO_DISTANCE: DistanceStatistics = { positions: 0, mean: 0, scan: 0, peak: 0 };
const NO_SAMPLING: GumbelStatistics = {
  positions: 0,
  flips: 0,
  gatedMargins: 0,
  score: 0,
  meanMargin: 0,
  finishMargin: 0,
};
/** An end that the seed did not demand, or a demanded one passed over, is certain from this many gates (45 σ) on. */
const FINISH_GATES = 8;
/** Honest margins are rarely more than a few gates: the least scale of the tail of G. */
const GATES_PER_SCALE = 4;

export const scoreInference = (input: ScoreInput): Score => scorePool([input]);

/**
 * Several outputs of one executor and model as one: what is too little evidence in each is enough together. Their positions count
 * as those of one output of their total length; seeds, penalties and ends stay each output's own. All have the profile of the first.
 */
export function scorePool(parts: readonly [ScoreInput, ...ScoreInput[]]): Score {
  const { profile } = parts[0];
  if (!parts.every(finishHolds)) return certain("finish");
  if (parts.some(({ artifact, ids }) => artifact.length !== ids.length)) return certain("tokens");
  const ids = parts.flatMap((part) => part.ids);
  if (ids.length === 0) {
    return { ...certain("short"), verdict: "abstain", p: 1, pBucket: 0, pDistance: 1, pSampling: 1 };
  }
  const recorded = parts.flatMap((part) => part.artifact);
  const validator = parts.flatMap((part) => part.validator);
  const d = distance(recorded, ids, validator, profile.sigmaH);
  const drawn = (part: ScoreInput): boolean => profile.unseeded !== undefined && part.params.temperatureMicros > 0;
  const g = joinSampling(parts.filter((part) => !drawn(part)).map((part) => samplingOf(part, profile.sigmaLogit)));
  if (g.finishMargin > FINISH_GATES * gateOf(profile.sigmaLogit)) {
    return { ...certain("finish"), distance: d, sampling: g };
  }
  const bucket = bucketOf(profile, ids.length);
  const scale = profile.sigmaH / 10;
  const pMean = d.positions === 0 ? 1 : conformalP(bucket.distance, d.mean, scale);
  // The largest of more windows is larger: each further stretch of 256 positions is one more look.
  const looks = Math.max(1, Math.ceil(d.positions / LONGEST_UNIT));
  const pScan = d.positions === 0 ? 1 : looks * conformalP(bucket.scan, d.scan, scale);
  const pDistance = Math.min(1, 2 * Math.min(pMean, pScan));
  const seeded = seededP(profile, g);
  const free = profile.unseeded && likelihoodP(profile.unseeded, parts.filter(drawn));
  const looked = [seeded, free].filter((each) => each !== undefined && each.positions > 0) as readonly SamplingP[];
  const pSampling = Math.min(1, ...looked.map((each) => looked.length * each.p));
  const p = Math.min(1, 2 * Math.min(pDistance, pSampling));
  const numbers = { p, pBucket: bucketOfP(p), pDistance, pSampling, distance: d, sampling: g, ...free?.statistics };
  if (p <= profile.alphaFail) {
    return { ...numbers, verdict: "fail", reason: pSampling <= pDistance ? "sampling" : "distance" };
  }
  if (looked.reduce((sum, { positions }) => sum + positions, 0) < profile.minPositions) {
    return { ...numbers, verdict: "abstain", reason: "short" };
  }
  // A check that no score could have failed is not a pass.
  if (looked.every(({ least }) => 2 * looked.length * least > profile.alphaFail)) {
    return { ...numbers, verdict: "abstain", reason: "uncalibrated" };
  }
  return { ...numbers, verdict: "pass", reason: "ok" };
}

interface SamplingP {
  readonly positions: number;
  readonly p: number;
  /** The smallest that could have come out. */
  readonly least: number;
}

/** Where a grammar left no choice there was nothing to see: compared is with honest runs of as many choices. */
function seededP(profile: Profile, { positions, score }: GumbelStatistics): SamplingP {
  const { gumbel } = bucketOf(profile, Math.max(1, positions));
  return {
    positions,
    p: conformalP(gumbel, score, GATES_PER_SCALE * gateOf(profile.sigmaLogit)),
    least: leastP(gumbel),
  };
}

/** Undefined where nothing was drawn. */
function likelihoodP(
  unseeded: UnseededProfile,
  parts: readonly ScoreInput[],
): (SamplingP & { readonly statistics: { readonly likelihood: LikelihoodStatistics } }) | undefined {
  if (parts.length === 0) return undefined;
  const likelihood = joinLikelihood(
    parts.map(({ params, ids, prefixIds = [], candidates, validator, substitutes = [] }) => {
      if (substitutes.length !== unseeded.substitutes.length) {
        throw new RuleError("invalid_profile", "unseeded", "the views of the named substitutes are missing");
      }
      return likelihoodCheck({ params, ids, prefixIds, validator: candidates ?? validator, substitutes });
    }),
  );
  const scores = likelihoodScores(unseeded, Math.max(1, likelihood.positions));
  // Markov's inequality: honest scores fall by one e for each nat at least.
  const p = conformalP(scores, likelihoodScore(likelihood), 1);
  return { positions: likelihood.positions, p, least: leastP(scores), statistics: { likelihood } };
}

const samplingOf = (part: ScoreInput, sigmaLogit: number): GumbelStatistics =>
  gumbelCheck(
    part.params,
    part.seed,
    part.ids,
    part.candidates ?? part.validator,
    sigmaLogit,
    part.stopTokenIds,
    part.prefixIds,
  );

/** ⌈−log2 p⌉ between 0 and 10. */
export const bucketOfP = (p: number): number => Math.min(10, Math.max(0, Math.ceil(-Math.log2(p))));

/**
 * `stop` means that the last token is a stop token (`finishMargin` sees whether the seed demanded it), `length` exactly the maximum;
 * nothing goes on after a stop token. Whether a stop sequence is there is seen on the text, by the caller.
 */
function finishHolds({ ids, prefixIds = [], finishReason, maxTokens, stopTokenIds }: ScoreInput): boolean {
  const length = prefixIds.length + ids.length;
  const stopAt = ids.findIndex((id) => stopTokenIds.has(id));
  if (length > maxTokens) return false;
  if (stopAt !== -1 && (finishReason !== "stop" || stopAt !== ids.length - 1)) return false;
  if (finishReason === "stop") return stopAt !== -1;
  return finishReason !== "length" || length === maxTokens;
}

function certain(reason: Score["reason"]): Score {
  return {
    verdict: "fail",
    reason,
    p: 0,
    pBucket: 10,
    pDistance: 0,
    pSampling: 0,
    distance: NO_DISTANCE,
    sampling: NO_SAMPLING,
  };
}

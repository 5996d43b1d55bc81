/** The statistics of honest runs, as a profile keeps them. */
import {
  type ArtifactCoding,
  BUCKET_STARTS,
  bucketIndex,
  decodeArtifact,
  distance,
  encodeArtifact,
  gumbelCheck,
  likelihoodCheck,
  likelihoodScore,
  type PositionValues,
  type Profile,
  positionValues,
  type Score,
  type ScoreInput,
  scoreInference,
  type TokenLogit,
} from "@karat/rules";
import type { ModelInfo, PositionLogprobs } from "../engine/engine.ts";
import { artifactPosition } from "../service/artifact.ts";
import type { Run } from "./runs.ts";

/** A run as the validator has it. */
export interface Evidence {
  run: Run;
  /** Decoded from the artifact's bytes, so with its rounding. */
  artifact: readonly PositionValues[];
  artifactBytes: Uint8Array;
  validator: readonly (readonly TokenLogit[])[];
  substitutes: readonly (readonly (readonly TokenLogit[])[])[];
}

const logitsOf = (positions: readonly PositionLogprobs[]): TokenLogit[][] =>
  positions.map((entries) => entries.map(({ id, logprob }) => [id, logprob] as const));

export function evidenceOf(run: Run, coding: ArtifactCoding, vocabularySize: number): Evidence {
  const positions = run.answer.positions.map((position) => artifactPosition(position, coding.k));
  const artifactBytes = encodeArtifact(positions, coding);
  return {
    run,
    artifactBytes,
    artifact: decodeArtifact(artifactBytes, { length: positions.length, vocabularySize }).positions,
    validator: logitsOf(run.validator),
    substitutes: (run.substitutes ?? []).map(logitsOf),
  };
}

/** A deterministic engine still rounds its logits to 32 bits: about this much on logits of some tens. */
const LEAST_SIGMA = 1e-5;

export interface Spreads {
  setting: string;
  /** Mean spread of the positions of a run, of the values as recorded, in nats; undefined where no position has one. */
  recorded: number | undefined;
  /** The same before the values are rounded. */
  exact: number | undefined;
}

/** The honest noise of one run. */
export function spreadsOf({ run, artifact, validator }: Evidence, setting: string, k: number): Spreads {
  const ids = run.answer.tokenIds;
  const of = (values: readonly PositionValues[]): number | undefined => {
    const { positions, mean } = distance(values, ids, validator, Number.POSITIVE_INFINITY);
    return positions > 0 ? mean : undefined;
  };
  const exact = run.answer.positions.map((position) => positionValues(artifactPosition(position, k), k));
  return { setting, recorded: of(artifact), exact: of(exact) };
}

/**
 * Unit of D: the mean spread of a recorded position, rounding included. Unit of G, the noise of one logit: the mean spread before
 * rounding, of the setting in which it is largest. A mean over all settings would let the quiet ones tighten the gate for the noisiest.
 */
export function estimateSigmas(spreads: readonly Spreads[]): Sigmas {
  const exact = [...Map.groupBy(spreads, ({ setting }) => setting).values()].map((own) =>
    meanOf(own.flatMap((run) => run.exact ?? [])),
  );
  return {
    sigmaH: meanOf(spreads.flatMap(({ recorded }) => recorded ?? [])),
    sigmaLogit: Math.max(LEAST_SIGMA, ...exact),
  };
}

const meanOf = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);

export interface HonestScores {
  length: number;
  distance: number;
  scan: number;
  gumbel: number;
  /** Where there are substitutes to compare with, and tokens were drawn at all. */
  likelihood?: number | undefined;
}

export interface Sigmas {
  sigmaH: number;
  sigmaLogit: number;
}

export function honestScores(
  { run, artifact, validator, substitutes }: Evidence,
  { sigmaH, sigmaLogit }: Sigmas,
): HonestScores {
  const ids = run.answer.tokenIds;
  const params = run.item.sampling;
  const drawn = substitutes.length > 0 && params.temperatureMicros > 0;
  const d = distance(artifact, ids, validator, sigmaH);
  const g = gumbelCheck(params, run.item.seed, ids, validator, sigmaLogit);
  return {
    length: ids.length,
    distance: d.mean,
    scan: d.scan,
    gumbel: g.score,
    ...(drawn && { likelihood: likelihoodScore(likelihoodCheck({ params, ids, validator, substitutes })) }),
  };
}

/** What a calibration fixes before it looks at any held-out run. */
export interface ProfileTerms {
  coding: ArtifactCoding;
  sigmas: Sigmas;
  alphaFail: number;
  minPositions: number;
  kvCache: string;
  settings: Profile["settings"];
  excluded: Profile["excluded"];
  /** What an unseeded profile compares with; none for one whose tokens are bound to the seed. */
  substitutes: readonly ModelInfo[];
}

/** `scores` must be by the sigmas of `terms`. */
export function buildProfile(info: ModelInfo, terms: ProfileTerms, scores: readonly HonestScores[]): Profile {
  return {
    version: 3,
    model: info.id,
    weightsSha256: info.weightsSha256,
    quantization: info.quantization,
    engine: info.build,
    kvCache: terms.kvCache,
    ...terms.coding,
    sigmaH: rounded(terms.sigmas.sigmaH),
    sigmaLogit: rounded(terms.sigmas.sigmaLogit),
    alphaFail: terms.alphaFail,
    minPositions: terms.minPositions,
    settings: terms.settings,
    excluded: terms.excluded,
    heldOut: { runs: 0, fails: 0 },
    buckets: BUCKET_STARTS.map((from, index) => {
      const own = scores.filter(({ length }) => bucketIndex(length) === index);
      const next = BUCKET_STARTS[index + 1];
      return {
        from,
        to: next === undefined ? null : next - 1,
        distance: sorted(own.map((score) => score.distance)),
        scan: sorted(own.map((score) => score.scan)),
        gumbel: sorted(own.map((score) => score.gumbel)),
      };
    }),
    ...unseededOf(terms, scores),
  };
}

/** Of fresh runs only: another set of substitutes gives other scores. */
function unseededOf({ substitutes }: ProfileTerms, scores: readonly HonestScores[]): Pick<Profile, "unseeded"> {
  if (substitutes.length === 0) return {};
  return {
    unseeded: {
      substitutes: substitutes.map(({ id, weightsSha256 }) => ({ name: id, weightsSha256 })),
      buckets: BUCKET_STARTS.map((from, index) => ({
        from,
        scores: sorted(
          scores.filter(({ length }) => bucketIndex(length) === index).flatMap(({ likelihood }) => likelihood ?? []),
        ),
      })),
    },
  };
}

/** A profile with further runs, which must be scored by its own sigmas, and another rate at which checks fail. */
export function extendProfile(profile: Profile, terms: ProfileTerms, scores: readonly HonestScores[]): Profile {
  const counts = new Map<string, number>();
  for (const { name, runs } of [...profile.settings, ...terms.settings])
    counts.set(name, (counts.get(name) ?? 0) + runs);
  return {
    ...profile,
    alphaFail: terms.alphaFail,
    minPositions: terms.minPositions,
    settings: [...counts].map(([name, runs]) => ({ name, runs })),
    excluded: terms.excluded,
    heldOut: { runs: 0, fails: 0 },
    buckets: profile.buckets.map((bucket, index) => {
      const own = scores.filter(({ length }) => bucketIndex(length) === index);
      return {
        ...bucket,
        distance: sorted([...bucket.distance, ...own.map((score) => score.distance)]),
        scan: sorted([...bucket.scan, ...own.map((score) => score.scan)]),
        gumbel: sorted([...bucket.gumbel, ...own.map((score) => score.gumbel)]),
      };
    }),
    ...unseededOf(terms, scores),
  };
}

/** What a validator judges a run by. */
export function scoreInputOf(
  profile: Profile,
  { run, artifact, validator, substitutes }: Evidence,
  stopTokenIds: ReadonlySet<number>,
): ScoreInput {
  const { answer, item } = run;
  return {
    profile,
    params: item.sampling,
    seed: item.seed,
    ids: answer.tokenIds,
    artifact,
    validator,
    substitutes,
    finishReason: answer.finishReason,
    maxTokens: answer.maxTokens,
    stopTokenIds,
  };
}

/** The verdict on a run by a profile, as /score gives it. */
export const judge = (profile: Profile, evidence: Evidence, stopTokenIds: ReadonlySet<number>): Score =>
  scoreInference(scoreInputOf(profile, evidence, stopTokenIds));

/** Six digits are far below the spread of any score. */
const rounded = (value: number): number => Number(value.toPrecision(6));
const sorted = (values: readonly number[]): number[] => values.map(rounded).sort((a, b) => a - b);

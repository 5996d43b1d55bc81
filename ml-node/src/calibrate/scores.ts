/** The statistics of honest runs, as a profile keeps them. */
import {
  type ArtifactCoding,
  BUCKET_STARTS,
  bucketIndex,
  decodeArtifact,
  distance,
  encodeArtifact,
  gumbelCheck,
  type PositionValues,
  type Profile,
  positionValues,
  type Score,
  scoreInference,
  type TokenLogit,
} from "@karat/rules";
import type { ModelInfo } from "../engine/engine.ts";
import { artifactPosition } from "../service/artifact.ts";
import type { Run } from "./runs.ts";

/** A run as the validator has it. */
export interface Evidence {
  run: Run;
  /** Decoded from the artifact's bytes, so with its rounding. */
  artifact: readonly PositionValues[];
  artifactBytes: Uint8Array;
  validator: readonly (readonly TokenLogit[])[];
}

export function evidenceOf(run: Run, coding: ArtifactCoding, vocabularySize: number): Evidence {
  const positions = run.answer.positions.map((position) => artifactPosition(position, coding.k));
  const artifactBytes = encodeArtifact(positions, coding);
  return {
    run,
    artifactBytes,
    artifact: decodeArtifact(artifactBytes, { length: positions.length, vocabularySize }).positions,
    validator: run.validator.map((entries) => entries.map(({ id, logprob }) => [id, logprob] as const)),
  };
}

/** Mean over runs of the mean spread of a position: the honest noise of one recorded log-probability, rounding included. */
export function estimateSigma(evidence: readonly Evidence[]): number {
  return meanSpread(
    evidence.map(({ run, artifact, validator }) => ({ ids: run.answer.tokenIds, values: artifact, validator })),
  );
}

/** A deterministic engine still rounds its logits to 32 bits: about this much on logits of some tens. */
const LEAST_SIGMA = 1e-5;

/**
 * The honest noise of one logit: the mean spread of the values before they are rounded, of the setting in which it is largest. A
 * mean over all settings would let the quiet ones tighten the gate for the noisiest.
 */
export function estimateLogitSigma(evidence: readonly (Evidence & { setting: string })[], k: number): number {
  const perSetting = Map.groupBy(evidence, ({ setting }) => setting);
  const spreads = [...perSetting.values()].map((group) =>
    meanSpread(
      group.map(({ run, validator }) => ({
        ids: run.answer.tokenIds,
        values: run.answer.positions.map((position) => positionValues(artifactPosition(position, k), k)),
        validator,
      })),
    ),
  );
  return Math.max(LEAST_SIGMA, ...spreads);
}

type Compared = {
  ids: readonly number[];
  values: readonly PositionValues[];
  validator: readonly (readonly TokenLogit[])[];
};

function meanSpread(compared: readonly Compared[]): number {
  const spreads = compared
    .map(({ ids, values, validator }) => distance(values, ids, validator, Number.POSITIVE_INFINITY))
    .filter(({ positions }) => positions > 0)
    .map(({ mean }) => mean);
  return spreads.reduce((sum, value) => sum + value, 0) / spreads.length;
}

export interface HonestScores {
  length: number;
  distance: number;
  scan: number;
  gumbel: number;
}

export interface Sigmas {
  sigmaH: number;
  sigmaLogit: number;
}

export function honestScores({ run, artifact, validator }: Evidence, { sigmaH, sigmaLogit }: Sigmas): HonestScores {
  const ids = run.answer.tokenIds;
  const d = distance(artifact, ids, validator, sigmaH);
  const g = gumbelCheck(run.item.sampling, run.item.seed, ids, validator, sigmaLogit);
  return { length: ids.length, distance: d.mean, scan: d.scan, gumbel: g.score };
}

export function buildProfile(
  info: ModelInfo,
  coding: ArtifactCoding,
  sigmas: Sigmas,
  limits: { alphaFail: number; minPositions: number },
  scores: readonly HonestScores[],
): Profile {
  return {
    version: 2,
    model: info.id,
    weightsSha256: info.weightsSha256,
    quantization: info.quantization,
    engine: info.build,
    ...coding,
    sigmaH: rounded(sigmas.sigmaH),
    sigmaLogit: rounded(sigmas.sigmaLogit),
    ...limits,
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
  };
}

/** The verdict on a run by a profile, as /score gives it. */
export function judge(
  profile: Profile,
  { run, artifact, validator }: Evidence,
  stopTokenIds: ReadonlySet<number>,
): Score {
  const { answer, item } = run;
  return scoreInference({
    profile,
    params: item.sampling,
    seed: item.seed,
    ids: answer.tokenIds,
    artifact,
    validator,
    finishReason: answer.finishReason,
    maxTokens: answer.maxTokens,
    stopTokenIds,
  });
}

/** Six digits are far below the spread of any score. */
const rounded = (value: number): number => Number(value.toPrecision(6));
const sorted = (values: readonly number[]): number[] => values.map(rounded).sort((a, b) => a - b);

/** One check of a delivered answer: what can be seen without the model first, then one prefill, then the statistics of the rules. */
import { isKaratError, utf8 } from "@karat/common";
import {
  type ArtifactCoding,
  artifactRoot,
  type Constraint,
  compareBytes,
  type DecodedArtifact,
  decodeArtifact,
  gateOf,
  inspectPositions,
  isRuleError,
  type Profile,
  type Score,
  scoreInference,
  sha256,
  type TokenLogit,
} from "@karat/rules";
import { constraintsOf } from "../engine/constraints.ts";
import type { InferenceEngine, PositionLogprobs, Vocabulary } from "../engine/engine.ts";
import { DEFAULT_MAX_TOKENS } from "./answer.ts";
import { codingOf, promptHash } from "./artifact.ts";
import type { Asked, Delivered, ScoreRequest } from "./scoreRequest.ts";
import { textOf } from "./textAssembler.ts";

/** The sampler's 64, one more to know the edge of the set, and room for logits that changed places. */
export const VALIDATOR_TOP = 72;

export interface ScoreResult {
  verdict: "pass" | "fail" | "abstain";
  /** ⌈−log2 p⌉, 0…10: 10 for what cannot happen to an honest executor. */
  p_bucket: number;
  reason: string;
  statistics: Readonly<Record<string, number>>;
  /** On request. `spread` is null where too little is above the floor to compare. */
  positions?: readonly {
    id: number;
    token: string;
    demanded: number;
    demanded_token: string;
    margin: number;
    spread: number | null;
  }[];
}

const certainFail = (reason: string): ScoreResult => ({ verdict: "fail", p_bucket: 10, reason, statistics: {} });
const abstain = (reason: string): ScoreResult => ({ verdict: "abstain", p_bucket: 0, reason, statistics: {} });

/** Codes with which an engine refuses a request that it could not have answered either. */
const REFUSALS = ["context_length_exceeded", "invalid_prompt", "unsupported_constraint"];

export async function scoreAnswer(
  engine: InferenceEngine,
  profile: Profile | undefined,
  request: ScoreRequest,
  signal?: AbortSignal,
): Promise<ScoreResult> {
  const { asked, delivered } = request;
  if ("malformed" in asked) return abstain(`malformed request: ${asked.malformed}`);
  if ("malformed" in delivered) return certainFail(`malformed_${delivered.malformed}`);
  try {
    const promptIds = await engine.render(asked.input);
    const maxTokens = asked.maxTokens ?? defaultMaxTokens(engine, promptIds.length);
    const coding = codingOf(profile);
    const artifact = verifyDelivered(engine, request, asked, delivered, { coding, promptIds, maxTokens });
    if (typeof artifact === "string") return certainFail(artifact);
    if (delivered.tokenIds.length === 0) return abstain("short");
    if (!profile) return abstain("no_profile");
    if (profile.weightsSha256 !== engine.info().weightsSha256) return abstain("profile_of_other_weights");
    const { constraint } = asked;
    const constrained = constraint && { constraint, maxTokens };
    const positions = await engine.score(
      { promptIds, outputIds: delivered.tokenIds, top: VALIDATOR_TOP, ...(constrained ? { constrained } : {}) },
      signal,
    );
    const candidates = constrained && candidatesOf(engine.vocabulary, constrained, delivered.tokenIds, positions);
    // Which tokens a constraint allows is no matter of numbers: no honest executor is off by one.
    if (candidates === "forbidden") return certainFail("constraint");
    const checked = {
      profile,
      params: request.sampling,
      seed: request.seed,
      ids: delivered.tokenIds,
      artifact: artifact.positions,
      validator: positions.map(logitsOf),
      ...(candidates ? { candidates } : {}),
      finishReason: delivered.finishReason,
      maxTokens,
      stopTokenIds: new Set(engine.vocabulary.stopTokenIds),
    };
    const result = resultOf(scoreInference(checked), profile);
    return request.detail ? { ...result, positions: detailOf(engine.vocabulary, checked) } : result;
  } catch (error) {
    if (isKaratError(error, ...REFUSALS)) return abstain(error.code);
    if (isRuleError(error, "invalid_request")) return abstain("unsupported_constraint");
    if (isRuleError(error, "invalid_profile")) return abstain("profile_without_this_length");
    throw error;
  }
}

const logitsOf = (entries: PositionLogprobs): TokenLogit[] => entries.map(({ id, logprob }) => [id, logprob] as const);

/** What the sampler could choose from at each position of the delivered answer; `forbidden` where that did not hold the delivered token. */
function candidatesOf(
  vocabulary: Vocabulary,
  { constraint, maxTokens }: { constraint: Constraint; maxTokens: number },
  ids: readonly number[],
  positions: readonly PositionLogprobs[],
): "forbidden" | (readonly TokenLogit[])[] {
  const answer = constraintsOf(vocabulary).answer(constraint, maxTokens);
  const candidates: (readonly TokenLogit[])[] = [];
  for (const [i, id] of ids.entries()) {
    const allowed = answer.next();
    if (allowed && !allowed.has(id)) return "forbidden";
    candidates.push(answer.candidates(allowed, logitsOf(positions[i] ?? [])));
    answer.accept(id);
  }
  return candidates;
}

/** The decoded artifact, or, for what no honest executor delivers, a reason. */
function verifyDelivered(
  engine: InferenceEngine,
  request: ScoreRequest,
  asked: Exclude<Asked, { malformed: string }>,
  delivered: Delivered,
  { coding, promptIds, maxTokens }: { coding: ArtifactCoding; promptIds: readonly number[]; maxTokens: number },
): string | DecodedArtifact {
  const { tokenIds, finishReason } = delivered;
  const { vocabulary } = engine;
  const hash = promptHash(promptIds);
  if (compareBytes(hash, delivered.promptHash) !== 0) return "prompt_hash";
  if (tokenIds.some((id) => id >= vocabulary.size)) return "token_outside_vocabulary";
  if (tokenIds.length > maxTokens) return "finish";
  const artifact = decode(delivered.artifact, tokenIds.length, vocabulary.size);
  // A coarser step or fewer alternatives than the model's profile has would hide other weights.
  if (!artifact || artifact.step !== coding.step || artifact.k !== coding.k) return "artifact";
  const root = artifactRoot({
    ...artifact,
    positions: artifact.positions.map((position, i) => ({ ...position, id: tokenIds[i]! })),
    inferenceId: request.inferenceId,
    promptHash: hash,
    params: request.sampling,
    seed: request.seed,
  });
  if (compareBytes(root, delivered.artifactRoot) !== 0) return "artifact_root";
  const { text, stoppedAt } = textOf(vocabulary, tokenIds, asked.stop);
  if (compareBytes(sha256(utf8(text)), delivered.outputHash) !== 0) return "output_hash";
  // A stop sequence ends the answer at the token that completes it, and nowhere else.
  if ((finishReason === "stop_sequence") !== (stoppedAt === tokenIds.length - 1 && stoppedAt >= 0)) return "finish";
  if (stoppedAt !== undefined && stoppedAt !== tokenIds.length - 1) return "finish";
  return artifact;
}

function decode(bytes: Uint8Array, length: number, vocabularySize: number): DecodedArtifact | undefined {
  try {
    return decodeArtifact(bytes, { length, vocabularySize });
  } catch (error) {
    if (isRuleError(error, "invalid_artifact")) return undefined;
    throw error;
  }
}

const defaultMaxTokens = (engine: InferenceEngine, promptTokens: number): number =>
  Math.max(1, Math.min(DEFAULT_MAX_TOKENS, engine.info().contextLength - 1 - promptTokens));

function detailOf(vocabulary: Vocabulary, checked: Parameters<typeof inspectPositions>[0]) {
  return inspectPositions(checked).map(({ id, demanded, margin, spread }) => ({
    id,
    token: vocabulary.nameOf(id),
    demanded,
    demanded_token: vocabulary.nameOf(demanded),
    margin,
    spread: spread ?? null,
  }));
}

function resultOf(score: Score, profile: Profile): ScoreResult {
  const { verdict, reason, pBucket, p, pDistance, pSampling, distance, sampling } = score;
  return {
    verdict,
    p_bucket: pBucket,
    reason,
    statistics: {
      p,
      pDistance,
      pSampling,
      positions: sampling.positions,
      distance: distance.mean,
      distanceScan: distance.scan,
      distancePeak: distance.peak,
      flips: sampling.flips,
      gatedMargins: sampling.gatedMargins,
      samplingScore: sampling.score,
      meanMargin: sampling.meanMargin,
      gate: gateOf(profile.sigmaLogit),
      sigma: profile.sigmaH,
    },
  };
}

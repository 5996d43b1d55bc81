/** One check of a delivered answer: what can be seen without the model first, then one prefill, then the statistics of the rules. */
import { isKaratError, toBase64, utf8 } from "@karat/common";
import {
  type ArtifactCoding,
  artifactRoot,
  bytesToHex,
  compareBytes,
  type DecodedArtifact,
  decodeArtifact,
  gateOf,
  gumbelCheck,
  inspectPositions,
  likelihoodScore,
  type Profile,
  type Score,
  type ScoreInput,
  scorePool,
  sha256,
  surprisalZ,
  type TokenLogit,
  valuesRoot,
  valuesWindows,
} from "@karat/rules";
import { constraintsOf } from "../engine/constraints.ts";
import type { ConstrainedAnswer, InferenceEngine, PositionLogprobs, Vocabulary } from "../engine/engine.ts";
import { assemblerBehind, DEFAULT_MAX_TOKENS, type RecordedPosition } from "./answer.ts";
import { artifactPosition, codingOf, promptHash } from "./artifact.ts";
import type { AskedText, Delivered, DeliveredOutput, PrefillRequest, ScoreRequest } from "./scoreRequest.ts";
import { textOf } from "./textAssembler.ts";
import {
  abstain,
  certainFail,
  guarded,
  type PrefillResult,
  readArtifact,
  type ScoreResult,
  type ScoringContext,
  withPooled,
} from "./verdicts.ts";

/** The sampler's 64, one more to know the edge of the set, and room for logits that changed places. */
export const VALIDATOR_TOP = 72;

/** First half of a blind check; where the verdict needs no artifact, that verdict. */
export async function prefillAnswer(
  context: ScoringContext,
  request: PrefillRequest,
  signal?: AbortSignal,
): Promise<PrefillResult | ScoreResult> {
  return guarded(async () => {
    const parts = await withPooled(request, (each) => lookAt(context, each, signal));
    if ("verdict" in parts) return parts;
    const own = parts.flatMap(({ output, coding, entries }) =>
      entries.map((top, i) => artifactPosition(chosenOf(top, output.tokenIds[i]!), coding.k)),
    );
    const windows = valuesWindows(own, parts[0]!.coding);
    // What is fixed with the commitment; it says nothing where tokens are not bound to the seed, and binds all the same.
    const margins = parts.map(({ profile, output, candidates, request: { sampling, seed, prefixIds } }) =>
      gumbelCheck(sampling, seed, output.tokenIds, candidates, profile.sigmaLogit, new Set(), prefixIds),
    );
    return {
      values_hash: bytesToHex(valuesRoot(windows, own.length)),
      windows: windows.map(toBase64),
      gated_margins: margins.reduce((sum, { gatedMargins }) => sum + gatedMargins, 0),
      positions: own.length,
    };
  });
}

/** The verdict, with the artifact. A prefill that was made for it before is not made again. */
export async function scoreAnswer(
  context: ScoringContext,
  request: ScoreRequest,
  signal?: AbortSignal,
): Promise<ScoreResult> {
  return guarded(async () => {
    const parts = await withPooled(request, (each) => lookAt(context, each, signal));
    if ("verdict" in parts) return parts;
    const inputs: ScoreInput[] = [];
    for (const part of parts) {
      const input = inputOf(context.engine, part);
      if ("verdict" in input) return input;
      inputs.push(input);
    }
    const [first, ...others] = inputs;
    if (first === undefined) return abstain("short");
    const result = resultOf(scorePool([first, ...others]), first.profile);
    return request.detail ? { ...result, positions: detailOf(context.engine.vocabulary, first) } : result;
  });
}

/** What the statistics are made of, or the verdict where the artifact is none. */
function inputOf(engine: InferenceEngine, part: Seen<ScoreRequest>): ScoreInput | ScoreResult {
  const { profile, output, validator, candidates, substitutes, coding, maxTokens, request } = part;
  const { delivered } = request;
  if ("malformed" in delivered) return certainFail(`malformed_${delivered.malformed}`);
  const artifact = openArtifact(engine, request, delivered, coding);
  if (typeof artifact === "string") return certainFail(artifact);
  return {
    profile,
    params: request.sampling,
    seed: request.seed,
    ids: output.tokenIds,
    prefixIds: request.prefixIds,
    artifact: artifact.positions,
    validator,
    candidates,
    substitutes,
    finishReason: output.finishReason,
    maxTokens,
    stopTokenIds: new Set(engine.vocabulary.stopTokenIds),
  };
}

interface Seen<R extends PrefillRequest = PrefillRequest> {
  readonly request: R;
  readonly profile: Profile;
  readonly output: DeliveredOutput;
  readonly coding: ArtifactCoding;
  readonly maxTokens: number;
  readonly entries: readonly PositionLogprobs[];
  readonly validator: readonly (readonly TokenLogit[])[];
  /** What the sampler could choose from. */
  readonly candidates: readonly (readonly TokenLogit[])[];
  /** The same of each named substitute. */
  readonly substitutes: readonly (readonly (readonly TokenLogit[])[])[];
}

/** All that can be seen without the artifact, or the verdict where that is enough. */
async function lookAt<R extends PrefillRequest>(
  { engine, profile, prefills, substitutes = [] }: ScoringContext,
  request: R,
  signal: AbortSignal | undefined,
): Promise<Seen<R> | ScoreResult> {
  const { asked, delivered: output } = request;
  if ("malformed" in asked) return abstain(`malformed request: ${asked.malformed}`);
  if ("texts" in asked) return abstain("embedding");
  if ("malformed" in output) return certainFail(`malformed_${output.malformed}`);
  const { prefixIds } = request;
  const rendered = await engine.render(asked.input);
  const maxTokens = asked.maxTokens ?? defaultMaxTokens(engine, rendered.length);
  const told = toldWith(engine, prefixIds, asked.stop);
  if (told === undefined) return abstain("malformed request: prefix_token_ids");
  const promptIds = [...rendered, ...prefixIds];
  const wrong = whatIsWrong(engine, asked, output, { promptIds, prefixIds, told, maxTokens });
  if (wrong !== undefined) return certainFail(wrong);
  if (output.tokenIds.length === 0) return abstain("short");
  if (!profile) return abstain("no_profile");
  if (profile.weightsSha256 !== engine.info().weightsSha256) return abstain("profile_of_other_weights");
  const { constraint } = asked;
  const constrained = constraint && { constraint, maxTokens, prefixIds };
  const job = { promptIds, outputIds: output.tokenIds, top: VALIDATOR_TOP, ...(constrained ? { constrained } : {}) };
  const choices = (of: Vocabulary, entries: readonly PositionLogprobs[]) =>
    constrained ? candidatesOf(of, constrained, output.tokenIds, entries) : entries.map(logitsOf);
  const entries = await prefills.of(engine, job, signal);
  const validator = entries.map(logitsOf);
  const candidates = choices(engine.vocabulary, entries);
  // Which tokens a constraint allows is no matter of numbers: no honest executor is off by one.
  if (candidates === "forbidden") return certainFail("constraint");
  const views: (readonly (readonly TokenLogit[])[])[] = [];
  // Where nothing is drawn they are not asked.
  for (const substitute of request.sampling.temperatureMicros > 0 ? substitutes : []) {
    const view = choices(substitute.vocabulary, await prefills.of(substitute, job, signal));
    if (view !== "forbidden") views.push(view);
  }
  const coding = codingOf(profile);
  return { request, profile, output, coding, maxTokens, entries, validator, candidates, substitutes: views };
}

interface Behind {
  /** Prefix included. */
  readonly promptIds: readonly number[];
  readonly prefixIds: readonly number[];
  /** Characters of text that were told with the prefix. */
  readonly told: number;
  readonly maxTokens: number;
}

const logitsOf = (entries: PositionLogprobs): TokenLogit[] => entries.map(({ id, logprob }) => [id, logprob] as const);

/** What the sampler could choose from at each position of the delivered answer; `forbidden` where that did not hold the delivered token. */
function candidatesOf(
  vocabulary: Vocabulary,
  { constraint, maxTokens, prefixIds = [] }: ConstrainedAnswer,
  ids: readonly number[],
  positions: readonly PositionLogprobs[],
): "forbidden" | (readonly TokenLogit[])[] {
  const answer = constraintsOf(vocabulary).answer(constraint, maxTokens);
  for (const id of prefixIds) answer.accept(id);
  const candidates: (readonly TokenLogit[])[] = [];
  for (const [i, id] of ids.entries()) {
    const allowed = answer.next();
    if (allowed && !allowed.has(id)) return "forbidden";
    candidates.push(answer.candidates(allowed, logitsOf(positions[i] ?? [])));
    answer.accept(id);
  }
  return candidates;
}

/** How many characters of text the executor of a prefix told; undefined where it is no beginning of an answer. */
function toldWith(engine: InferenceEngine, prefixIds: readonly number[], stop: readonly string[]): number | undefined {
  try {
    return assemblerBehind(engine, prefixIds, stop).text.length;
  } catch (error) {
    if (isKaratError(error, "invalid_request")) return undefined;
    throw error;
  }
}

/** What no honest executor delivers, and is told without the model. */
function whatIsWrong(
  { vocabulary }: InferenceEngine,
  asked: AskedText,
  { tokenIds, finishReason, promptHash: claimed, promptTokens, outputHash }: DeliveredOutput,
  { promptIds, prefixIds, told, maxTokens }: Behind,
): string | undefined {
  if (compareBytes(promptHash(promptIds), claimed) !== 0) return "prompt_hash";
  if (promptIds.length !== promptTokens) return "miscounted";
  if (tokenIds.some((id) => id >= vocabulary.size)) return "token_outside_vocabulary";
  const length = prefixIds.length + tokenIds.length;
  if (length > maxTokens) return "finish";
  const { text, stoppedAt } = textOf(vocabulary, [...prefixIds, ...tokenIds], asked.stop);
  if (compareBytes(sha256(utf8(text.slice(told))), outputHash) !== 0) return "output_hash";
  // A stop sequence ends the answer at the token that completes it, and nowhere else.
  if ((finishReason === "stop_sequence") !== (stoppedAt === length - 1 && stoppedAt >= 0)) return "finish";
  if (stoppedAt !== undefined && stoppedAt !== length - 1) return "finish";
  return undefined;
}

/** The decoded artifact, or a reason where it is not the one that was committed to, in the profile's coding. */
function openArtifact(
  { vocabulary }: InferenceEngine,
  request: ScoreRequest,
  { tokenIds, artifact: bytes, artifactRoot: committed, promptHash: hash }: Delivered,
  coding: ArtifactCoding,
): string | DecodedArtifact {
  const expected = { length: tokenIds.length, vocabularySize: vocabulary.size };
  const artifact = readArtifact(() => decodeArtifact(bytes, expected));
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
  return compareBytes(root, committed) === 0 ? artifact : "artifact_root";
}

function chosenOf(top: PositionLogprobs, id: number): RecordedPosition {
  const logprob = top.find((entry) => entry.id === id)?.logprob ?? Number.NEGATIVE_INFINITY;
  return { id, logprob, top };
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
  const { verdict, reason, pBucket, p, pDistance, pSampling, distance, sampling, likelihood } = score;
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
      ...(likelihood && {
        drawnPositions: likelihood.positions,
        likelihoodScore: likelihoodScore(likelihood),
        surprisalZ: surprisalZ(likelihood),
      }),
    },
  };
}

/** One check of a delivered embedding: what can be seen without the model first, then the own vectors, then how far the delivered ones are. */
import { toBase64 } from "@karat/common";
import {
  bytesToHex,
  compareBytes,
  decodeVectors,
  type Profile,
  SKETCH_CODING,
  scoreEmbedding,
  sha256,
  sketchOf,
  valuesRoot,
  valuesWindows,
  vectorDistance,
  vectorsRoot,
} from "@karat/rules";
import { promptHash } from "./artifact.ts";
import { lastIds, renderTexts } from "./embedding.ts";
import type { DeliveredOutput, PrefillRequest, ScoreRequest } from "./scoreRequest.ts";
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

const NO_TEXT = sha256(new Uint8Array());

/** First half of a blind check: sketches of the own vectors; where the verdict needs no artifact, that verdict. */
export function prefillEmbedding(
  context: ScoringContext,
  request: PrefillRequest,
  signal?: AbortSignal,
): Promise<PrefillResult | ScoreResult> {
  return guarded(async () => {
    const parts = await withPooled(request, (each) => lookAt(context, each, signal));
    if ("verdict" in parts) return parts;
    const own = parts.flatMap(({ vectors }) => vectors.map(sketchOf));
    const windows = valuesWindows(own, SKETCH_CODING);
    return {
      values_hash: bytesToHex(valuesRoot(windows, own.length)),
      windows: windows.map(toBase64),
      gated_margins: 0,
      positions: own.length,
    };
  });
}

/** The verdict, with the artifact. Vectors that were made for the first half are not made again. */
export function scoreEmbeddingAnswer(
  context: ScoringContext,
  request: ScoreRequest,
  signal?: AbortSignal,
): Promise<ScoreResult> {
  return guarded(async () => {
    const parts = await withPooled(request, (each) => lookAt(context, each, signal));
    if ("verdict" in parts) return parts;
    const recorded: Float32Array[] = [];
    for (const part of parts) {
      const vectors = openVectors(part);
      if ("verdict" in vectors) return vectors;
      recorded.push(...vectors);
    }
    const own = parts.flatMap(({ vectors }) => vectors);
    const result = resultOf(parts[0]!.profile, recorded, own);
    return request.detail ? { ...result, distances: distancesOf(recorded, own) } : result;
  });
}

interface Seen<R extends PrefillRequest = PrefillRequest> {
  readonly request: R;
  readonly profile: Profile;
  /** The validator's own. */
  readonly vectors: readonly Float32Array[];
}

/** All that can be seen without the artifact, or the verdict where that is enough. */
async function lookAt<R extends PrefillRequest>(
  { engine, profile, prefills }: ScoringContext,
  request: R,
  signal: AbortSignal | undefined,
): Promise<Seen<R> | ScoreResult> {
  const { asked, delivered: output, prefixIds } = request;
  if ("malformed" in asked) return abstain(`malformed request: ${asked.malformed}`);
  if (!("texts" in asked)) return abstain("no_embedding");
  if ("malformed" in output) return certainFail(`malformed_${output.malformed}`);
  const inputs = await renderTexts(engine, asked.texts);
  const wrong = prefixIds.length > 0 ? "prefix" : whatIsWrong(inputs, output);
  if (wrong !== undefined) return certainFail(wrong);
  // Broken off before its vectors: it says nothing.
  if (output.finishReason === "cancelled") return abstain("short");
  if (profile?.embedding === undefined) return abstain("no_profile");
  if (profile.weightsSha256 !== engine.info().weightsSha256) return abstain("profile_of_other_weights");
  return { request, profile, vectors: await prefills.vectorsOf(engine, inputs, signal) };
}

/** What no honest executor delivers, and is told without the model. */
function whatIsWrong(
  inputs: readonly (readonly number[])[],
  { tokenIds, finishReason, promptHash: claimed, promptTokens, outputHash }: DeliveredOutput,
): string | undefined {
  const promptIds = inputs.flat();
  if (compareBytes(promptHash(promptIds), claimed) !== 0) return "prompt_hash";
  if (promptIds.length !== promptTokens) return "miscounted";
  if (compareBytes(NO_TEXT, outputHash) !== 0) return "output_hash";
  if (finishReason === "cancelled") return tokenIds.length === 0 ? undefined : "finish";
  if (finishReason !== "length") return "finish";
  const expected = lastIds(inputs);
  return tokenIds.length === expected.length && tokenIds.every((id, i) => id === expected[i]) ? undefined : "token_ids";
}

/** The delivered vectors, or the verdict where they are none, or not those that were committed to. */
function openVectors({ request, vectors }: Seen<ScoreRequest>): Float32Array[] | ScoreResult {
  const { delivered, inferenceId } = request;
  if ("malformed" in delivered) return certainFail(`malformed_${delivered.malformed}`);
  const { artifact, artifactRoot, promptHash: hash } = delivered;
  const dimensions = vectors[0]!.length;
  const decoded = readArtifact(() => decodeVectors(artifact, { count: vectors.length, dimensions }));
  if (decoded === undefined) return certainFail("artifact");
  const root = vectorsRoot({ inferenceId, promptHash: hash, dimensions, artifact });
  return compareBytes(root, artifactRoot) === 0 ? decoded : certainFail("artifact_root");
}

function resultOf(profile: Profile, recorded: readonly Float32Array[], own: readonly Float32Array[]): ScoreResult {
  const { verdict, reason, p, pBucket, largest, mean } = scoreEmbedding(profile, recorded, own);
  const honest = profile.embedding?.distances.at(-1) ?? 0;
  const statistics = { p, positions: own.length, distance: mean, distancePeak: largest, honestPeak: honest };
  return { verdict, p_bucket: pBucket, reason, statistics };
}

const distancesOf = (recorded: readonly Float32Array[], own: readonly Float32Array[]): number[] =>
  recorded.map((vector, i) => vectorDistance(vector, own[i]!));

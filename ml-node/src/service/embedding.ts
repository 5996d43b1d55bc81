/** From texts to vectors: an answer of one token for each text, its own last one, whose artifact are the vectors. */
import { EMBEDDING_LIMITS, encodeVectors, vectorsRoot } from "@karat/rules";
import type { InferenceEngine } from "../engine/engine.ts";
import { noEmbeddings } from "../engine/jobChecks.ts";
import { promptHash } from "./artifact.ts";
import { invalid } from "./requests.ts";

export type EmbeddingEvent =
  | { readonly type: "start"; readonly promptIds: readonly number[] }
  | ({ readonly type: "end" } & Embedding);

export interface Embedding {
  /** Of all inputs, one behind the other. */
  readonly promptIds: readonly number[];
  /** The last of each input. */
  readonly tokenIds: readonly number[];
  readonly dimensions: number;
  readonly vectors: readonly Float32Array[];
}

/** Token ids of each text. Throws `invalid_request` where the engine gives no vectors, or not so many. */
export async function renderTexts(engine: InferenceEngine, texts: readonly string[]): Promise<number[][]> {
  const dimensions = dimensionsOf(engine);
  const most = Math.floor(EMBEDDING_LIMITS.components / dimensions);
  if (texts.length > most) throw invalid("input", `this model takes at most ${most} inputs at once`);
  const inputs: number[][] = [];
  for (const prompt of texts) inputs.push(await engine.render({ prompt, whole: true }));
  return inputs;
}

/** `start` comes as soon as the engine has taken the job; refusals are thrown before it. */
export async function* embedding(
  engine: InferenceEngine,
  texts: readonly string[],
  signal?: AbortSignal,
): AsyncGenerator<EmbeddingEvent> {
  const inputs = await renderTexts(engine, texts);
  const promptIds = inputs.flat();
  const accepted = Promise.withResolvers<void>();
  const vectors = engine.embed({ inputs, onAccepted: accepted.resolve }, signal);
  await Promise.race([accepted.promise, vectors]);
  vectors.catch(() => undefined); // whoever leaves at `start` does not see it
  yield { type: "start", promptIds };
  const dimensions = dimensionsOf(engine);
  yield { type: "end", promptIds, tokenIds: lastIds(inputs), dimensions, vectors: await vectors };
}

/** What stands for each input in the answer. */
export const lastIds = (inputs: readonly (readonly number[])[]): number[] => inputs.map((ids) => ids.at(-1)!);

/** Canonical bytes of the vectors, and the root that commits to them and to the inputs. */
export function vectorArtifact(
  { promptIds, dimensions, vectors }: Embedding,
  inferenceId: Uint8Array,
): { artifact: Uint8Array; root: Uint8Array } {
  const artifact = encodeVectors(vectors);
  return { artifact, root: vectorsRoot({ inferenceId, promptHash: promptHash(promptIds), dimensions, artifact }) };
}

export function dimensionsOf(engine: InferenceEngine): number {
  const { embeddingDimensions } = engine.info();
  if (embeddingDimensions === undefined) throw noEmbeddings();
  return embeddingDimensions;
}

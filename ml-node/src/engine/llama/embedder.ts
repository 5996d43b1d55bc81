/** Vectors of texts, in a context of their own beside the one that generates. */
import { EMBEDDING_LIMITS, unitVector } from "@karat/rules";
import type { LlamaEmbeddingContext, LlamaModel, Token } from "node-llama-cpp";
import type { LoadOptions } from "./messages.ts";

export interface Embedder {
  readonly dimensions: number;
  /** For each input its vector, one input behind the other; an abort ends it between two. */
  embed(inputs: readonly (readonly number[])[], signal: AbortSignal): Promise<Float32Array[]>;
}

/** llama.cpp's pooling types that read a text at its last token; models that only continue texts name none. */
const AT_LAST_TOKEN: ReadonlySet<unknown> = new Set([undefined, 0, 3]);

/** Undefined for models whose vectors are of another kind, such as means over all tokens. The context is made for the first job: most nodes see none. */
export function openEmbedder(
  model: LlamaModel,
  { contextSize, batchSize, threads }: Pick<LoadOptions, "contextSize" | "batchSize" | "threads">,
): Embedder | undefined {
  const own: object = model.fileInfo.architectureMetadata;
  const pooling: unknown = "pooling_type" in own ? own.pooling_type : undefined;
  if (model.embeddingVectorSize > EMBEDDING_LIMITS.dimensions) return undefined;
  if (model.fileInsights.hasEncoder || !AT_LAST_TOKEN.has(pooling)) return undefined;

  let context: Promise<LlamaEmbeddingContext> | undefined;
  const opened = (): Promise<LlamaEmbeddingContext> => {
    context ??= model.createEmbeddingContext({ contextSize, batchSize: Math.min(batchSize, contextSize), threads });
    context.catch(() => {
      context = undefined;
    });
    return context;
  };

  return {
    dimensions: model.embeddingVectorSize,
    async embed(inputs, signal) {
      const by = await opened();
      const vectors: Float32Array[] = [];
      for (const ids of inputs) {
        if (signal.aborted) break;
        const tokens = ids as Token[];
        // The context adds what the model wants around a text: then these ids are not what would be read.
        if (by.calculateInputLength(tokens) !== ids.length) throw new Error("the ids are no whole text of this model");
        vectors.push(unitVector((await by.getEmbeddingFor(tokens)).vector));
      }
      return vectors;
    },
  };
}

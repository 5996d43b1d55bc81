/** What transfer agent and executor ask of a request for embeddings alike. */
import { KaratError } from "@karat/common";
import type { params } from "@karat/proto";
import { EMBEDDING_LIMITS } from "@karat/rules";

/**
 * Components of the model's vectors. Throws `model_not_found` where it is declared to give none, and `invalid_request` where so many inputs are
 * more than one answer holds.
 */
export function embeddingDimensions(declared: params.Model | undefined, model: string, inputs: number): number {
  const dimensions = declared?.embeddingDimensions ?? 0;
  if (dimensions === 0) {
    throw new KaratError("model_not_found", `The model ${model} gives no embeddings.`, { param: "model" });
  }
  const most = Math.floor(EMBEDDING_LIMITS.components / dimensions);
  if (inputs <= most) return dimensions;
  throw new KaratError("invalid_request", `input: this model takes up to ${most} at once`, { param: "input" });
}

/** The numerical settings that honest nodes differ in, as far as one machine can vary them. */
import type { InferenceEngine } from "../engine/engine.ts";
import { createLlamaEngine } from "../engine/llama/llamaEngine.ts";
import type { Setting } from "./runs.ts";

export interface Laboratory {
  /** The engine with the default settings. */
  reference: InferenceEngine;
  settings: Setting[];
  close(): Promise<void>;
}

/** Alone and in batches of four; batches of 512, 64 and 16 tokens; flash attention as the engine chooses, on, and off. */
export async function openLaboratory(modelPath: string, id: string): Promise<Laboratory> {
  const open = (overrides: { batchSize?: number; flashAttention?: boolean }) =>
    createLlamaEngine({ modelPath, id, contextSize: 1024, ...overrides });
  const [reference, small, plain] = await Promise.all([
    open({}),
    open({ batchSize: 16, flashAttention: true }),
    open({ batchSize: 64, flashAttention: false }),
  ]);
  const setting = (name: string, executor: InferenceEngine, validator: InferenceEngine, concurrency: number) => ({
    name,
    executor,
    validator,
    concurrency,
  });
  return {
    reference,
    settings: [
      setting("alone", reference, reference, 1),
      setting("batched", reference, reference, 4),
      setting("batched, validator in small batches", reference, small, 4),
      setting("batched, validator without flash attention", reference, plain, 4),
      setting("without flash attention, batched", plain, reference, 4),
      setting("without flash attention on both sides", plain, plain, 4),
    ],
    close: async () => {
      await Promise.all([reference.close(), small.close(), plain.close()]);
    },
  };
}

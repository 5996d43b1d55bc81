/**
 * Cheating executors, for demonstrations and for the attack suite. They stand behind the same interface as an honest engine,
 * which knows nothing of them, and are only ever started by the explicit `--attack` flag.
 */
import type { Logger } from "@karat/common";
import type { Config } from "../config.ts";
import type { GeneratedToken, GenerateJob, InferenceEngine } from "../engine/engine.ts";
import { createLlamaEngine } from "../engine/llama/llamaEngine.ts";

/** Puts another model behind the declared one. Closing the result closes both engines. */
export async function withAttack(declared: InferenceEngine, config: Config, logger: Logger): Promise<InferenceEngine> {
  const { attack } = config;
  if (!attack) return declared;
  const substitute = await createLlamaEngine({ ...config, modelPath: attack.modelPath, id: "substitute", logger });
  logger.error(
    { attack: attack.kind, declared: declared.info().id, substitute: attack.modelPath },
    "ATTACK MODE: this node cheats on purpose; its answers do not come from the model it declares",
  );
  return attack.kind === "swap" ? swap(declared, substitute) : launder(declared, substitute);
}

/** Generates with other weights and reports their log-probabilities, or their vectors. */
export function swap(declared: InferenceEngine, substitute: InferenceEngine): InferenceEngine {
  return {
    ...generatingBy(declared, (job, signal) => substitute.generate(job, signal), [substitute]),
    embed: (job, signal) => substitute.embed(job, signal),
  };
}

/**
 * Generates with other weights, then has the declared model score the finished answer once, and reports the declared
 * model's log-probabilities: no comparison of log-probabilities can see it. Of an embedding there is nothing to launder.
 */
export function launder(declared: InferenceEngine, substitute: InferenceEngine): InferenceEngine {
  async function* laundered(job: GenerateJob, signal?: AbortSignal): AsyncGenerator<GeneratedToken> {
    const outputIds: number[] = [];
    for await (const token of substitute.generate(job, signal)) outputIds.push(token.id);
    const positions = await declared.score({ promptIds: job.promptIds, outputIds, top: job.top }, signal);
    for (const [index, id] of outputIds.entries()) {
      const entries = positions[index] ?? [];
      const logprob = entries.find((entry) => entry.id === id)?.logprob ?? Number.NEGATIVE_INFINITY;
      yield { id, logprob, top: entries.slice(0, job.top) };
    }
  }
  return generatingBy(declared, laundered, [substitute]);
}

/** What the declared engine is, with another way to generate. Closing it closes the declared engine and the `others` behind it. */
export function generatingBy(
  declared: InferenceEngine,
  generate: (job: GenerateJob, signal?: AbortSignal) => AsyncIterable<GeneratedToken>,
  others: readonly InferenceEngine[] = [],
): InferenceEngine {
  return {
    vocabulary: declared.vocabulary,
    info: () => declared.info(),
    state: () => declared.state(),
    load: () => declared.load(),
    render: (input) => declared.render(input),
    generate,
    score: (job, signal) => declared.score(job, signal),
    embed: (job, signal) => declared.embed(job, signal),
    close: async () => {
      await Promise.all([declared, ...others].map((engine) => engine.close()));
    },
  };
}

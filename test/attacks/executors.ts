/** Executors that cheat, and some that only look like it, behind the interface of an honest engine. */
import { margin, type SamplingParams, sample, type TokenLogit } from "@karat/rules";
import { generatingBy, launder } from "../../ml-node/src/attack/attack.ts";
import type {
  GeneratedToken,
  GenerateJob,
  InferenceEngine,
  PositionLogprobs,
} from "../../ml-node/src/engine/engine.ts";

/** Samples by other parameters than the request's. */
export const withSampling = (
  declared: InferenceEngine,
  engine: InferenceEngine,
  change: (sampling: SamplingParams) => SamplingParams,
): InferenceEngine =>
  generatingBy(declared, (job, signal) => engine.generate({ ...job, sampling: change(job.sampling) }, signal));

/** Samples from another seed: a cached answer, a seed ground for, no seed at all. */
export const withSeed = (declared: InferenceEngine, seed: Uint8Array): InferenceEngine =>
  generatingBy(declared, (job, signal) => declared.generate({ ...job, seed }, signal));

/** Of answers from several seeds the one that the declared model takes for the likeliest: a seed ground for, without knowing what the true one demands. */
export const grinding = (declared: InferenceEngine, engine: InferenceEngine, seeds: number): InferenceEngine =>
  generatingBy(declared, async function* (job) {
    let best: GeneratedToken[] = [];
    let most = Number.NEGATIVE_INFINITY;
    for (let n = 0; n < seeds; n++) {
      const tokens: GeneratedToken[] = [];
      for await (const each of launder(declared, engine).generate({ ...job, seed: new Uint8Array(32).fill(n + 1) })) {
        tokens.push(each);
      }
      const mean = tokens.reduce((sum, { logprob }) => sum + logprob, 0) / Math.max(1, tokens.length);
      if (tokens.length < best.length || (tokens.length === best.length && mean <= most)) continue;
      [best, most] = [tokens, mean];
    }
    yield* best;
  });

/** Reads only part of the prompt. */
export const withPrompt = (
  declared: InferenceEngine,
  change: (ids: readonly number[]) => readonly number[],
): InferenceEngine =>
  generatingBy(declared, (job, signal) => declared.generate({ ...job, promptIds: change(job.promptIds) }, signal));

/** The model's view of the position after `ids`. */
async function viewOf(
  engine: InferenceEngine,
  promptIds: readonly number[],
  ids: readonly number[],
): Promise<PositionLogprobs> {
  const positions = await engine.score({ promptIds, outputIds: [...ids, 0], top: 72 });
  return positions.at(-1) ?? [];
}

const logitsOf = (view: PositionLogprobs): TokenLogit[] => view.map(({ id, logprob }) => [id, logprob] as const);

/**
 * Token by token, each from the engine that `engineAt` names, and the declared engine's values recorded: splices, and drafts that are
 * accepted. One prefill for each token, so only for short outputs.
 */
export function splicing(
  declared: InferenceEngine,
  engineAt: (position: number, length: number) => InferenceEngine,
): InferenceEngine {
  return generatingBy(declared, async function* (job) {
    const counts = new Map<number, number>();
    const ids: number[] = [];
    for (let position = 0; position < job.maxTokens; position++) {
      const engine = engineAt(position, job.maxTokens);
      const own = await viewOf(declared, job.promptIds, ids);
      const view = engine === declared ? own : await viewOf(engine, job.promptIds, ids);
      yield token(job, own, sample(job.sampling, job.seed, position, logitsOf(view), counts), ids, counts);
      if (declared.vocabulary.stopTokenIds.includes(ids.at(-1) ?? -1)) return;
    }
  });
}

/**
 * Speculation: a draft's token stands when the declared model demands it (`tolerance` 0, lossless) or when it falls short by less
 * than the tolerance.
 */
export function speculating(
  declared: InferenceEngine,
  draft: InferenceEngine,
  tolerance: number,
  count: (accepted: boolean) => void = () => {},
): InferenceEngine {
  return generatingBy(declared, async function* (job) {
    const counts = new Map<number, number>();
    const ids: number[] = [];
    for (let position = 0; position < job.maxTokens; position++) {
      const [own, drafted] = await Promise.all([
        viewOf(declared, job.promptIds, ids),
        viewOf(draft, job.promptIds, ids),
      ]);
      const guess = sample(job.sampling, job.seed, position, logitsOf(drafted), counts);
      const known = own.some(({ id }) => id === guess);
      const verdict = known ? margin(job.sampling, job.seed, position, logitsOf(own), guess, counts) : undefined;
      const accepted = verdict !== undefined && verdict.margin <= tolerance;
      count(accepted);
      const id = accepted ? guess : sample(job.sampling, job.seed, position, logitsOf(own), counts);
      yield token(job, own, id, ids, counts);
      if (declared.vocabulary.stopTokenIds.includes(id)) return;
    }
  });
}

function token(
  job: GenerateJob,
  own: PositionLogprobs,
  id: number,
  ids: number[],
  counts: Map<number, number>,
): GeneratedToken {
  ids.push(id);
  counts.set(id, (counts.get(id) ?? 0) + 1);
  return { id, logprob: own.find((entry) => entry.id === id)?.logprob ?? -20, top: own.slice(0, job.top) };
}

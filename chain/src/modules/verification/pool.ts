/** Outputs too short for evidence are neither passes nor forgotten: they wait until there are enough to be judged as one. */
import { type inference, verification } from "@karat/proto";
import type { Context } from "../../app/module.ts";
import type { VerificationDeps } from "./expects.ts";
import { pools, STORE } from "./keys.ts";

/** Most that one check judges together with its own. */
export const MAX_POOLED = 32;
/** Older ones are forgotten: their beacons, from which validators take the seeds, are kept for little longer. */
export const POOL_AGE = 200n;

/** Takes the waiting outputs of the pair of `finished` where, with it, they are enough; none where it is long enough itself. */
export function takePooled(deps: VerificationDeps, ctx: Context, finished: inference.Inference): Uint8Array[] {
  const needed = deps.params.get(ctx).evidenceTokens;
  if (finished.completionTokens >= needed) return [];
  const waiting = fresh(ctx, finished.executor, finished.model);
  const tokens = waiting.reduce((sum, entry) => sum + entry.tokens, finished.completionTokens);
  if (tokens < needed) return [];
  pools.delete(ctx.store(STORE), [finished.executor, finished.model]);
  return waiting.map((entry) => entry.inferenceId);
}

/** An output whose check was abstained from after its validator had computed. */
export function addToPool(ctx: Context, { id, executor, model, completionTokens }: inference.Inference): void {
  if (completionTokens === 0) return;
  const entry = verification.PooledInference.fromPartial({
    inferenceId: id,
    tokens: completionTokens,
    height: ctx.height,
  });
  const entries = [...fresh(ctx, executor, model), entry].slice(-MAX_POOLED);
  pools.set(ctx.store(STORE), [executor, model], { executor, model, entries });
}

function fresh(ctx: Context, executor: string, model: string): verification.PooledInference[] {
  const entries = pools.get(ctx.store(STORE), [executor, model])?.entries ?? [];
  return entries.filter(({ height }) => height + POOL_AGE >= ctx.height);
}

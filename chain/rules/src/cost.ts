import { RuleError } from "./errors.ts";

/** ukarat per token. */
export interface Price {
  readonly input: bigint;
  readonly output: bigint;
}

const BPS = 10_000n;

/** What an inference costs, in ukarat. */
export function cost(
  usage: { readonly promptTokens: bigint; readonly completionTokens: bigint },
  price: Price,
): bigint {
  return usage.promptTokens * price.input + usage.completionTokens * price.output;
}

/** What a client signs for; prices in ukarat per token. */
export interface CostBounds {
  readonly maxInputTokens: number;
  readonly maxOutputTokens: number;
  readonly maxInputPrice: bigint;
  readonly maxOutputPrice: bigint;
}

/** Where a part of an answer begins: output tokens before it, and what the parts that gave them cost, at most, in ukarat. */
export interface PartStart {
  readonly prefixTokens: number;
  readonly held: bigint;
}

/**
 * The most that a part of an answer can cost, in ukarat: held of the deposit at its start. The output behind its prefix in full; the prompt, of which
 * the prefix is a part, as far as the parts before it leave room under what one reading of it costs at the price signed for: a client
 * pays one prompt, however many read it. Of the first part that is all of it. With the prompt alone as the bound, never more than was signed for.
 */
export function maxPartCost(
  { maxInputTokens, maxOutputTokens, maxInputPrice, maxOutputPrice }: CostBounds,
  promptTokens: number,
  price: Price,
  { prefixTokens, held }: PartStart,
): bigint {
  const input = BigInt(promptTokens) * price.input;
  const once = Math.min(maxInputTokens, Math.max(0, promptTokens - prefixTokens));
  // What comes behind the prefix stays free for whoever writes it, at whatever price.
  const left = BigInt(once) * maxInputPrice + BigInt(prefixTokens) * maxOutputPrice - held;
  const room = left > 0n ? left : 0n; // Less than nothing where a part states a shorter prompt than was held for before.
  return (input < room ? input : room) + BigInt(maxOutputTokens - prefixTokens) * price.output;
}

export interface FeeShares {
  readonly executorBps: number;
  readonly transferAgentBps: number;
  readonly validatorsBps: number;
}

export interface FeeSplit {
  readonly executor: bigint;
  readonly transferAgent: bigint;
  readonly validators: bigint;
  readonly community: bigint;
}

/** Splits a settled amount; each share is rounded down and the community pool takes the rest, so that the parts sum to it. */
export function feeSplit(amount: bigint, shares: FeeShares): FeeSplit {
  if (amount < 0n) throw new RuleError("invalid_amount", "amount", "negative");
  const { executorBps, transferAgentBps, validatorsBps } = shares;
  const all = [executorBps, transferAgentBps, validatorsBps];
  if (all.some((bps) => !Number.isInteger(bps) || bps < 0) || executorBps + transferAgentBps + validatorsBps > 10_000) {
    throw new RuleError("invalid_rate", "shares", "basis points that sum to at most 10000", { ...shares });
  }
  const share = (bps: number): bigint => (amount * BigInt(bps)) / BPS;
  const executor = share(executorBps);
  const transferAgent = share(transferAgentBps);
  const validators = share(validatorsBps);
  return { executor, transferAgent, validators, community: amount - executor - transferAgent - validators };
}

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

/** The most that it can cost: held of the deposit at the start. */
export function maxCost(
  bound: { readonly promptTokens: bigint; readonly maxOutputTokens: bigint },
  price: Price,
): bigint {
  return cost({ promptTokens: bound.promptTokens, completionTokens: bound.maxOutputTokens }, price);
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

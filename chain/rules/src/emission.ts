import { RuleError } from "./errors.ts";

export interface EmissionSchedule {
  /** ukarat in epoch 0. */
  readonly initial: bigint;
  /** Epochs until it is half; at least 1. */
  readonly halvingEpochs: bigint;
}

/** Emission of an epoch: halves every `halvingEpochs`, linear in between, rounded down; 0 in the end. */
export function epochEmission(epoch: bigint, { initial, halvingEpochs }: EmissionSchedule): bigint {
  if (epoch < 0n || initial < 0n || halvingEpochs < 1n) {
    throw new RuleError("invalid_amount", "emission", "epoch and emission ≥ 0, halving ≥ 1 epoch");
  }
  const halvings = epoch / halvingEpochs;
  if (halvings >= 64n) return 0n;
  const from = initial >> halvings;
  // Within a period it falls from `from` to half of it in equal steps.
  return from - (from * (epoch % halvingEpochs)) / (2n * halvingEpochs);
}

export interface RewardClaimant {
  readonly id: string;
  readonly weight: bigint;
  /** Share of its assignments that it served, 0 … 1_000_000; 0 for the excluded. */
  readonly serviceMicros: number;
}

const MICROS = 1_000_000n;

/**
 * Shares of an epoch's emission: ∝ weight × service, each rounded down. What is not earned does not go to the
 * neighbours: it is returned as `unearned`.
 */
export function rewardShares(
  total: bigint,
  claimants: readonly RewardClaimant[],
): { shares: { id: string; amount: bigint }[]; unearned: bigint } {
  if (total < 0n) throw new RuleError("invalid_amount", "total", "negative");
  const weights = claimants.reduce((sum, { weight }) => sum + weight, 0n);
  let unearned = total;
  const shares = claimants.map(({ id, weight, serviceMicros }) => {
    if (weight < 0n || !Number.isInteger(serviceMicros) || serviceMicros < 0 || serviceMicros > 1_000_000) {
      throw new RuleError("invalid_candidates", "serviceMicros", "weight ≥ 0, service 0 … 1000000", { id });
    }
    const amount = weights === 0n ? 0n : (total * weight * BigInt(serviceMicros)) / (weights * MICROS);
    unearned -= amount;
    return { id, amount };
  });
  return { shares, unearned };
}

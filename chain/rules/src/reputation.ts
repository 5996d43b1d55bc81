import { RuleError } from "./errors.ts";

const MICROS = 1_000_000n;

/** A / (A + A0) in millionths, rounded down: A audited clean tokens, A0 those at which trust is one half. */
export function reputation(cleanTokens: bigint, halfPoint: bigint): number {
  if (cleanTokens < 0n || halfPoint <= 0n) {
    throw new RuleError("invalid_amount", "cleanTokens", "tokens ≥ 0 and a positive half point");
  }
  return Number((cleanTokens * MICROS) / (cleanTokens + halfPoint));
}

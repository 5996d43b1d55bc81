import { RuleError } from "./errors.ts";

/** Fractional bits of a fixed-point log2. */
export const LOG2_BITS = 32n;
const WORK_BITS = 96n;
const ONE = 1n << WORK_BITS;

/**
 * log2(numerator / denominator) with 32 fractional bits, rounded towards minus infinity. Integers only, so that every
 * replica has the same bits: the characteristic by shifting, then one bit of the mantissa for each squaring.
 */
export function log2Floor(numerator: bigint, denominator: bigint): bigint {
  if (numerator <= 0n || denominator <= 0n) throw new RuleError("invalid_amount", "log2", "not a positive ratio");
  let exponent = BigInt(numerator.toString(2).length - denominator.toString(2).length);
  let x = scaled(numerator, denominator, exponent);
  if (x < ONE) {
    exponent -= 1n;
    x = scaled(numerator, denominator, exponent);
  }
  let result = exponent << LOG2_BITS;
  for (let bit = LOG2_BITS - 1n; bit >= 0n; bit--) {
    x = (x * x) >> WORK_BITS;
    if (x >= ONE << 1n) {
      result += 1n << bit;
      x >>= 1n;
    }
  }
  return result;
}

/** The same, rounded up: never below the true value. */
export function log2Ceil(numerator: bigint, denominator: bigint): bigint {
  return -log2Floor(denominator, numerator);
}

/** numerator / (denominator · 2^exponent) in WORK_BITS, between ½ and 2. */
function scaled(numerator: bigint, denominator: bigint, exponent: bigint): bigint {
  return exponent >= 0n
    ? (numerator << WORK_BITS) / (denominator << exponent)
    : (numerator << (WORK_BITS - exponent)) / denominator;
}

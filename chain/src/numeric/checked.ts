/**
 * Arithmetic on unsigned 64-bit amounts. A result outside the range is a bug of the caller, who has to check first
 * where the numbers come from a message: it throws KaratError `overflow`, `underflow` or `division_by_zero`, and that
 * stops the node.
 */
import { KaratError } from "@karat/common";

export const U64_MAX = 0xffff_ffff_ffff_ffffn;

export const isU64 = (value: bigint): boolean => value >= 0n && value <= U64_MAX;

/** The value itself. Throws where it is no u64. */
export function checkU64(value: bigint): bigint {
  if (value > U64_MAX) throw new KaratError("overflow", "a number exceeds 64 bits", { value });
  if (value < 0n) throw new KaratError("underflow", "a number is negative", { value });
  return value;
}

export const addU64 = (a: bigint, b: bigint): bigint => checkU64(a + b);
export const subU64 = (a: bigint, b: bigint): bigint => checkU64(a - b);
export const mulU64 = (a: bigint, b: bigint): bigint => checkU64(a * b);

/** a·b/c rounded towards zero; the product is exact. */
export function mulDivFloor(a: bigint, b: bigint, c: bigint): bigint {
  if (c === 0n) throw new KaratError("division_by_zero", "division by zero", { a, b });
  return checkU64((a * b) / c);
}

/** a·b/c rounded up; the product is exact. */
export function mulDivCeil(a: bigint, b: bigint, c: bigint): bigint {
  if (c === 0n) throw new KaratError("division_by_zero", "division by zero", { a, b });
  return checkU64((a * b + c - 1n) / c);
}

export const minU64 = (a: bigint, b: bigint): bigint => (a < b ? a : b);
export const maxU64 = (a: bigint, b: bigint): bigint => (a > b ? a : b);

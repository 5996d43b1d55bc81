import { isKaratError } from "@karat/common";
import fc from "fast-check";
import { expect, test } from "vitest";
import { addU64, mulDivCeil, mulDivFloor, subU64, U64_MAX } from "./checked.ts";

const u64 = fc.bigInt({ min: 0n, max: U64_MAX });

function codeOf(run: () => unknown): string | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    return isKaratError(error) ? error.code : "unexpected";
  }
}

test("sums and differences are exact or refused", () => {
  fc.assert(
    fc.property(u64, u64, (a, b) => {
      expect(codeOf(() => addU64(a, b))).toBe(a + b > U64_MAX ? "overflow" : undefined);
      expect(codeOf(() => subU64(a, b))).toBe(b > a ? "underflow" : undefined);
    }),
  );
});

test("floor and ceiling differ by one exactly where there is a remainder", () => {
  fc.assert(
    fc.property(u64, fc.bigInt({ min: 0n, max: 10_000n }), (a, share) => {
      const remainder = (a * share) % 10_000n;
      expect(mulDivCeil(a, share, 10_000n) - mulDivFloor(a, share, 10_000n)).toBe(remainder === 0n ? 0n : 1n);
      expect(mulDivFloor(a, share, 10_000n) * 10_000n + remainder).toBe(a * share);
    }),
  );
});

test("division by zero has a code", () => {
  expect(codeOf(() => mulDivFloor(1n, 1n, 0n))).toBe("division_by_zero");
  expect(codeOf(() => mulDivCeil(1n, 1n, 0n))).toBe("division_by_zero");
});

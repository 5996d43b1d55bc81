import fc from "fast-check";
import { expect, test } from "vitest";
import { runsFor, upperBound } from "./bound.ts";

test("Clopper–Pearson: published and closed values", () => {
  // Without a failure: 1 − 0.05^(1/n).
  expect(upperBound(0, 2_995)).toBeCloseTo(1 - 0.05 ** (1 / 2_995), 10);
  expect(upperBound(0, 2_995)).toBeLessThanOrEqual(1e-3);
  expect(upperBound(0, 2_994)).toBeGreaterThan(1e-3);
  // 1 of 4,742, 2 of 6,294: where the 95 % bound falls to 10^-3 (Poisson means 4.744 and 6.296).
  expect(upperBound(1, 4_742)).toBeCloseTo(1e-3, 6);
  expect(upperBound(2, 6_294)).toBeCloseTo(1e-3, 6);
  expect(upperBound(81, 263)).toBeCloseTo(0.3583, 3); // one-sided, 95 %
  expect(upperBound(5, 5)).toBe(1);
  expect(upperBound(0, 0)).toBe(1);
});

test("runsFor is the least number that carries a claim", () => {
  expect([1e-2, 1e-3, 1e-4].map((rate) => runsFor(rate))).toEqual([299, 2_995, 29_956]);
  fc.assert(
    fc.property(fc.double({ min: 1e-4, max: 0.5, noNaN: true }), (rate) => {
      const n = runsFor(rate);
      expect(upperBound(0, n)).toBeLessThanOrEqual(rate * (1 + 1e-9));
      if (n > 1) expect(upperBound(0, n - 1)).toBeGreaterThan(rate * (1 - 1e-9));
    }),
  );
});

test("the bound rises with failures, falls with runs, and is above the estimate", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5_000 }), fc.nat(20), (runs, some) => {
      const fails = Math.min(some, runs);
      const bound = upperBound(fails, runs);
      expect(bound).toBeGreaterThan(fails === runs ? 0.999 : fails / runs);
      expect(upperBound(fails, runs + 100)).toBeLessThan(bound + 1e-12);
      if (fails < runs) expect(upperBound(fails + 1, runs)).toBeGreaterThan(bound);
    }),
  );
});

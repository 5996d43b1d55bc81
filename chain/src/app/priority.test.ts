import fc from "fast-check";
import { expect, test } from "vitest";
import { byGasPrice, type Offer } from "./priority.ts";

/** Each transaction is one byte, its place. */
function order(offers: readonly (Offer | undefined)[]): number[] {
  const txs = offers.map((_, place) => Uint8Array.of(place));
  return byGasPrice(txs, (tx) => offers[tx[0]!]).map((tx) => tx[0]!);
}
const paid = (signer: string, fee: bigint, gasLimit = 100n): Offer => ({ signers: [signer], fee, gasLimit });
const free = (signer: string): Offer => ({ signers: [signer], fee: 0n, gasLimit: 100n });

test("what pays more for its gas comes first", () => {
  expect(order([paid("a", 5n), paid("b", 9n), paid("c", 7n)])).toEqual([1, 2, 0]);
  expect(order([paid("a", 100n, 1_000n), paid("b", 50n, 100n)])).toEqual([1, 0]);
});

test("of the same price, who came first stays first", () => {
  expect(order([paid("a", 5n), paid("b", 5n), paid("c", 5n)])).toEqual([0, 1, 2]);
});

test("free ones and what is no transaction keep their places", () => {
  expect(order([paid("a", 1n), free("n"), undefined, paid("b", 2n)])).toEqual([3, 1, 2, 0]);
});

test("a signer's dear one does not overtake its cheap one before it", () => {
  expect(order([paid("a", 1n), paid("a", 99n), paid("b", 5n)])).toEqual([2, 0, 1]);
});

test("nothing of a signer is moved that also has free ones", () => {
  expect(order([paid("n", 1n), free("n"), paid("b", 5n), paid("c", 9n)])).toEqual([0, 1, 3, 2]);
});

test("nobody's own order changes, nothing is lost, and the lanes keep their places", () => {
  const offer = fc.option(
    fc.record({
      signers: fc.uniqueArray(fc.constantFrom("a", "b", "c", "d", "e"), { minLength: 1, maxLength: 2 }),
      fee: fc.bigInt(0n, 5n),
      gasLimit: fc.bigInt(0n, 3n),
    }),
    { nil: undefined },
  );
  fc.assert(
    fc.property(fc.array(offer, { maxLength: 20 }), (offers) => {
      const result = order(offers);
      expect([...result].sort((a, b) => a - b)).toEqual(offers.map((_, place) => place));
      for (const signer of ["a", "b", "c", "d", "e"] as const) {
        const own = result.filter((place) => offers[place]?.signers.includes(signer));
        expect(own).toEqual([...own].sort((a, b) => a - b));
      }
      for (const [place, was] of offers.entries()) {
        if (was === undefined || was.fee === 0n) expect(result[place]).toBe(place);
      }
    }),
    { numRuns: 500 },
  );
});

import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  allowedSet,
  bytesToHex,
  DEFAULT_SAMPLING,
  gumbel,
  hexToBytes,
  isRuleError,
  margin,
  type SamplingParams,
  sample,
  samplingSeed,
  type TokenLogit,
  validateSampling,
} from "./index.ts";

interface Vectors {
  readonly seeds: { chainId: string; inferenceId: string; beacon: string; seed: string }[];
  readonly noise: { seed: string; position: number; id: number; gumbel: string }[];
  readonly samples: {
    params: SamplingParams;
    seed: string;
    position: number;
    logits: TokenLogit[];
    previous: [number, number][];
    token: number;
  }[];
}
const vectors = JSON.parse(readFileSync(new URL("../vectors/sampling.json", import.meta.url), "utf8")) as Vectors;

/** The 64 bits of a double, so that not even the last one may differ. */
const bitsOf = (value: number): string => {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  return view.getBigUint64(0).toString(16).padStart(16, "0");
};

describe("published vectors", () => {
  test("seeds", () => {
    for (const { chainId, inferenceId, beacon, seed } of vectors.seeds) {
      expect(bytesToHex(samplingSeed(chainId, hexToBytes(inferenceId), hexToBytes(beacon)))).toBe(seed);
    }
  });
  test("noise, to the last bit", () => {
    for (const v of vectors.noise) expect(bitsOf(gumbel(hexToBytes(v.seed), v.position, v.id))).toBe(v.gumbel);
  });
  test("chosen tokens", () => {
    for (const v of vectors.samples)
      expect(sample(v.params, hexToBytes(v.seed), v.position, v.logits, new Map(v.previous))).toBe(v.token);
  });
});

const logits = fc.uniqueArray(fc.tuple(fc.nat(4_000), fc.double({ min: -20, max: 5, noNaN: true })), {
  selector: ([id]) => id,
  minLength: 1,
  maxLength: 90,
});
const params = fc.record({
  temperatureMicros: fc.constantFrom(0, 300_000, 1_000_000, 2_000_000),
  topK: fc.integer({ min: 1, max: 64 }),
  topPMicros: fc.constantFrom(0, 500_000, 950_000, 1_000_000),
  minPMicros: fc.constantFrom(0, 50_000, 1_000_000),
  frequencyPenaltyMicros: fc.constantFrom(-1_000_000, 0, 500_000),
  presencePenaltyMicros: fc.constantFrom(0, 1_000_000),
});
const seed = fc.uint8Array({ minLength: 32, maxLength: 32 });

describe("sampling", () => {
  test("the chosen token is allowed, has no margin, and does not depend on the order of the logits", () => {
    fc.assert(
      fc.property(params, seed, fc.nat(5_000), logits, (p, s, position, list) => {
        const token = sample(p, s, position, list);
        expect(allowedSet(p, list).map(([id]) => id)).toContain(token);
        expect(sample(p, s, position, list.toReversed())).toBe(token);
        expect(margin(p, s, position, list, token)).toEqual({ margin: 0, demanded: token });
      }),
    );
  });

  test("every other token has a margin, and it is not negative", () => {
    fc.assert(
      fc.property(params, seed, logits, (p, s, list) => {
        const token = sample(p, s, 0, list);
        for (const [id] of list) if (id !== token) expect(margin(p, s, 0, list, id).margin).toBeGreaterThanOrEqual(0);
      }),
    );
  });

  test("at temperature 0 the most likely token is taken, the lowest id among equals", () => {
    const greedy = { ...DEFAULT_SAMPLING, temperatureMicros: 0 };
    expect(
      sample(greedy, new Uint8Array(32), 0, [
        [7, 1],
        [3, 2],
        [5, 2],
      ]),
    ).toBe(3);
  });

  test("frequencies follow the softmax (chi-square, fixed seeds)", () => {
    const list: TokenLogit[] = [
      [0, 0],
      [1, Math.log(2)],
      [2, Math.log(5)],
    ];
    const counts = [0, 0, 0];
    for (let i = 0; i < 8_000; i++) counts[sample(DEFAULT_SAMPLING, new Uint8Array(32), i, list)]! += 1;
    const chi = [1_000, 2_000, 5_000].reduce((sum, e, i) => sum + (counts[i]! - e) ** 2 / e, 0);
    expect(chi).toBeLessThan(13.8);
  });

  test("a small error of the logits moves few tokens: the noise belongs to the token", () => {
    let moved = 0;
    for (let i = 0; i < 1_000; i++) {
      const list: TokenLogit[] = Array.from({ length: 64 }, (_, id) => [id, gumbel(new Uint8Array(32).fill(1), i, id)]);
      const near = list.map(([id, l]): TokenLogit => [id, l + 1e-3 * Math.sin(id * 7 + i)]);
      if (
        sample(DEFAULT_SAMPLING, new Uint8Array(32), i, list) !== sample(DEFAULT_SAMPLING, new Uint8Array(32), i, near)
      )
        moved += 1;
    }
    expect(moved).toBeLessThan(10);
  });

  test.each(Object.keys(DEFAULT_SAMPLING))("%s out of range is refused by name", (field) => {
    const run = (): unknown => validateSampling({ ...DEFAULT_SAMPLING, [field]: 3_000_000 });
    expect(run).toThrow(expect.objectContaining({ code: "invalid_sampling", param: field }));
    expect(isRuleError(new Error("x"))).toBe(false);
  });
});

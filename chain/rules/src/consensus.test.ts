import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  checkingRateMicros,
  committeeDraw,
  cost,
  DrawTable,
  domainHash,
  dutyDraw,
  dutyOrder,
  epochEmission,
  executorOrder,
  feeSplit,
  isRuleError,
  log2Ceil,
  log2Floor,
  recentEvidence,
  reputation,
  rewardShares,
  standing,
  weightedOrder,
} from "./index.ts";

const codeOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (isRuleError(error)) return error.code;
    throw error;
  }
  return "none";
};
const candidate = fc.record({ id: fc.string({ minLength: 1, maxLength: 8 }), weight: fc.bigInt(0n, 1_000n) });
const candidates = fc.uniqueArray(candidate, { selector: ({ id }) => id, maxLength: 12 });
const seed = fc.uint8Array({ minLength: 32, maxLength: 32 });

describe("draws", () => {
  test("do not depend on the order of the candidates, name each once, and never one without weight", () => {
    fc.assert(
      fc.property(seed, candidates, (s, list) => {
        const order = weightedOrder(s, list);
        expect(weightedOrder(s, list.toReversed())).toEqual(order);
        expect(order.toSorted()).toEqual(
          list
            .filter(({ weight }) => weight > 0n)
            .map(({ id }) => id)
            .toSorted(),
        );
      }),
    );
  });

  test("give each place in proportion to weight (chi-square, fixed seeds)", () => {
    const list = [
      { id: "a", weight: 1n },
      { id: "b", weight: 2n },
      { id: "c", weight: 5n },
    ];
    const counts = new Map<string, number>();
    const rounds = 4_000;
    for (let i = 0; i < rounds; i++) {
      const first = weightedOrder(domainHash("fairness", BigInt(i)), list, 1)[0]!;
      counts.set(first, (counts.get(first) ?? 0) + 1);
    }
    const chi = list.reduce((sum, { id, weight }) => {
      const expected = (rounds * Number(weight)) / 8;
      return sum + ((counts.get(id) ?? 0) - expected) ** 2 / expected;
    }, 0);
    expect(chi).toBeLessThan(13.8); // 0.1 % of two degrees of freedom
  });

  test("refuse a repeated id and a negative weight", () => {
    const twice = [
      { id: "a", weight: 1n },
      { id: "a", weight: 2n },
    ];
    expect(codeOf(() => weightedOrder(new Uint8Array(32), twice))).toBe("invalid_candidates");
    expect(codeOf(() => weightedOrder(new Uint8Array(32), [{ id: "a", weight: -1n }]))).toBe("invalid_candidates");
  });

  test("of executors, duties and committees are independent of each other", () => {
    const list = Array.from({ length: 30 }, (_, i) => ({ id: `p${i}`, weight: 1n }));
    const input = { beacon: new Uint8Array(32), inferenceId: new Uint8Array(32).fill(1), candidates: list };
    const orders = [
      executorOrder(input.beacon, input.inferenceId, list),
      dutyOrder(new DrawTable(list), input, []),
      committeeDraw({ ...input, size: 30 }),
    ].map((order) => order.join());
    expect(new Set(orders).size).toBe(3);
  });

  test("pass over who is involved: the order is that of the others", () => {
    const list = Array.from({ length: 9 }, (_, i) => ({ id: `p${i}`, weight: BigInt(1 + i) }));
    const table = new DrawTable(list);
    for (let i = 0; i < 50; i++) {
      const input = { beacon: domainHash("order", BigInt(i)), inferenceId: new Uint8Array(32) };
      const all = dutyOrder(table, input, []);
      const others = all.filter((id) => id !== "p8" && id !== "p3");
      expect(dutyOrder(table, input, ["p3", "p8"])).toEqual(others);
      expect(dutyOrder(table, input, ["p3", "p8"], 2)).toEqual(others.slice(0, 2));
    }
  });

  test("check at the rate that is asked for", () => {
    const checkedOf = (rateMicros: number): number =>
      Array.from({ length: 2_000 }, (_, i) =>
        dutyDraw({
          beacon: domainHash("rate", BigInt(i)),
          inferenceId: new Uint8Array(32),
          rateMicros,
        }),
      ).filter(Boolean).length;
    expect([checkedOf(0), checkedOf(1_000_000)]).toEqual([0, 2_000]);
    expect(Math.abs(checkedOf(250_000) - 500)).toBeLessThan(80); // 4 σ
  });
});

describe("money", () => {
  const bps = fc.tuple(fc.nat(3_333), fc.nat(3_333), fc.nat(3_333));
  test("a settled amount is split without a unit lost or made", () => {
    fc.assert(
      fc.property(fc.bigInt(0n, 1n << 64n), bps, (amount, [executorBps, transferAgentBps, validatorsBps]) => {
        const parts = feeSplit(amount, { executorBps, transferAgentBps, validatorsBps });
        expect(parts.executor + parts.transferAgent + parts.validators + parts.community).toBe(amount);
        expect(Object.values(parts).every((part) => part >= 0n)).toBe(true);
      }),
    );
    expect(codeOf(() => feeSplit(1n, { executorBps: 9_000, transferAgentBps: 900, validatorsBps: 200 }))).toBe(
      "invalid_rate",
    );
  });

  test("emission is never more than was to be had, and the neighbours gain nothing from who did not serve", () => {
    const claimant = fc.record({ id: fc.string(), weight: fc.bigInt(0n, 10_000n), serviceMicros: fc.nat(1_000_000) });
    fc.assert(
      fc.property(fc.bigInt(0n, 1n << 60n), fc.array(claimant, { maxLength: 10 }), (total, list) => {
        const { shares, unearned } = rewardShares(total, list);
        expect(shares.reduce((sum, { amount }) => sum + amount, unearned)).toBe(total);
        const idle = rewardShares(
          total,
          list.map((c, i) => (i === 0 ? { ...c, serviceMicros: 0 } : c)),
        );
        expect(idle.shares.slice(1)).toEqual(shares.slice(1));
      }),
    );
  });

  test("emission falls to half in each period and to nothing in the end", () => {
    const schedule = { initial: 1_000_000n, halvingEpochs: 10n };
    expect([0n, 5n, 10n, 20n, 10_000n].map((epoch) => epochEmission(epoch, schedule))).toEqual([
      1_000_000n,
      750_000n,
      500_000n,
      250_000n,
      0n,
    ]);
  });

  test("an inference costs its tokens at the price", () => {
    expect(cost({ promptTokens: 7n, completionTokens: 11n }, { input: 2n, output: 3n })).toBe(47n);
  });
});

describe("fixed-point log2", () => {
  test("is within a unit of the last place of the real one, below and above", () => {
    fc.assert(
      fc.property(fc.bigInt(1n, 1n << 40n), fc.bigInt(1n, 1n << 40n), (a, b) => {
        const real = Math.log2(Number(a)) - Math.log2(Number(b));
        const [floor, ceil] = [log2Floor(a, b), log2Ceil(a, b)];
        expect(ceil - floor).toBeLessThanOrEqual(1n);
        expect(Math.abs(Number(floor) / 2 ** 32 - real)).toBeLessThan(1e-9);
      }),
    );
    expect([log2Floor(8n, 1n), log2Ceil(1n, 4n)]).toEqual([3n << 32n, -(2n << 32n)]);
  });
});

describe("standing", () => {
  const of = (passes: number, fails: number, alphaMicros = 1_000, distinctFailOperators = 2): string =>
    standing({ passes: BigInt(passes), fails: BigInt(fails), alphaMicros, distinctFailOperators, recentLog2: 0n })
      .state;

  test("a full cheater is out after four failures and suspended before", () => {
    expect([0, 1, 2, 3, 4].map((fails) => of(0, fails))).toEqual([
      "good",
      "good",
      "suspended",
      "suspended",
      "excluded",
    ]);
  });

  test("a cheater in one of ten is out within seventy checks", () => {
    expect(of(63, 7)).toBe("excluded");
  });

  test("one accuser alone never excludes", () => {
    expect(of(0, 50, 1_000, 1)).toBe("suspended");
  });

  test("an honest participant at the certified rate stays in good standing over any length", () => {
    for (const n of [1_000, 10_000, 100_000, 1_000_000]) expect(of(n - n / 1_000, n / 1_000)).toBe("good");
  });

  test("recent evidence begins anew with the honest, so that a long past does not shield who begins to cheat", () => {
    const late = (fails: number): string => {
      let recentLog2 = 0n;
      for (let i = 0; i < fails; i++) recentLog2 = recentEvidence(recentLog2, true, 1_000);
      const passes = 1_000_000n;
      return standing({ passes, fails: BigInt(fails), alphaMicros: 1_000, distinctFailOperators: 2, recentLog2 }).state;
    };
    expect([3, 4, 8, 9].map(late)).toEqual(["good", "suspended", "suspended", "excluded"]);
  });

  test("recent evidence stays within its bounds whatever happens, and a failure is never forgotten at once", () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { maxLength: 400 }), (checks) => {
        let recent = 0n;
        for (const failed of checks) {
          const next = recentEvidence(recent, failed, 1_600);
          expect(next).toBeGreaterThanOrEqual(0n);
          expect(next).toBeLessThanOrEqual(64n << 32n);
          if (failed) expect(next > recent || next === 64n << 32n).toBe(true);
          else expect(next <= recent).toBe(true);
          recent = next;
        }
      }),
    );
    expect(codeOf(() => recentEvidence(0n, true, 0))).toBe("invalid_rate");
  });

  test("evidence grows with each failure and falls with each pass", () => {
    fc.assert(
      fc.property(fc.nat(5_000), fc.nat(50), fc.integer({ min: 100, max: 50_000 }), (passes, fails, alphaMicros) => {
        const e = (p: number, f: number): bigint =>
          standing({ passes: BigInt(p), fails: BigInt(f), alphaMicros, distinctFailOperators: 2, recentLog2: 0n })
            .log2E;
        expect(e(passes, fails + 1)).toBeGreaterThan(e(passes, fails));
        expect(e(passes + 1, fails)).toBeLessThan(e(passes, fails));
      }),
    );
  });
});

describe("checking rate", () => {
  const base = {
    reputation: 900_000,
    inferencesThisEpoch: 1_000n,
    reward: 1_000_000n,
    collateral: 0n,
    gainPerInference: 700n,
    floorMicros: 1_000,
  };

  test("newcomers and those with more to gain than to lose are checked always", () => {
    expect(checkingRateMicros({ ...base, reputation: 0 })).toBe(1_000_000);
    expect(checkingRateMicros({ ...base, gainPerInference: 2_000n })).toBe(1_000_000);
  });

  test("makes cheating lose money for every number of cheats", () => {
    const input = fc.record({ n: fc.integer({ min: 1, max: 5_000 }), share: fc.integer({ min: 1, max: 95 }) });
    fc.assert(
      fc.property(input, ({ n, share }) => {
        const loss = 1_000_000n;
        const gain = (loss * BigInt(share)) / (100n * BigInt(n));
        if (gain === 0n) return;
        const rate = checkingRateMicros({ ...base, inferencesThisEpoch: BigInt(n), gainPerInference: gain }) / 1e6;
        const caught = 1 - (1 - rate * 0.95) ** n;
        expect(caught * Number(loss)).toBeGreaterThanOrEqual(n * Number(gain) * 0.999_999);
      }),
    );
  });

  test("falls with reputation and never under the floor", () => {
    fc.assert(
      fc.property(fc.nat(1_000_000), fc.nat(1_000_000), (a, b) => {
        const [low, high] = a < b ? [a, b] : [b, a];
        const rate = (r: number): number => checkingRateMicros({ ...base, reputation: r, floorMicros: 10_000 });
        expect(rate(high)).toBeLessThanOrEqual(rate(low));
        expect(rate(high)).toBeGreaterThanOrEqual(10_000);
      }),
    );
  });

  test("reputation is one half at the half point and never one", () => {
    expect([reputation(0n, 100n), reputation(100n, 100n), reputation(10n ** 15n, 100n)]).toEqual([0, 500_000, 999_999]);
  });
});

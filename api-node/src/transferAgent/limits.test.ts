import { isKaratError } from "@karat/common";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ClientLimits, type Visit } from "./limits.ts";

const refusal = (run: () => unknown): number | undefined => {
  try {
    run();
  } catch (error) {
    if (isKaratError(error, "rate_limit_exceeded")) return Number(error.data.retry_after_s);
    throw error;
  }
  return undefined;
};

describe("the tokens of a client", () => {
  it("are taken as asked for, and what was not used is given back", () => {
    let nowMs = 0;
    const limits = new ClientLimits({ tokensPerMinute: 600, now: () => nowMs });
    const left = (): string | undefined => limits.headers("a")["x-ratelimit-remaining-tokens"];
    const visit = limits.enter("a");
    visit.takeTokens(500);
    visit.takeTokens(500); // a second order for the same request
    expect(left()).toBe("100");
    expect(refusal(() => limits.enter("a").takeTokens(200))).toBe(10);
    expect(refusal(() => limits.enter("b").takeTokens(200))).toBeUndefined();
    visit.usedTokens(50);
    visit.leave();
    visit.leave();
    expect(left()).toBe("550");
    expect(limits.headers("a")["x-ratelimit-reset-tokens"]).toBe("5s");
    nowMs = 5_000;
    expect(left()).toBe("600");
  });

  it("let a request through that is larger than the bucket, once that is full, and are owed then", () => {
    let nowMs = 0;
    const limits = new ClientLimits({ tokensPerMinute: 60, now: () => nowMs });
    limits.enter("a").takeTokens(180);
    expect(limits.headers("a")).toMatchObject({
      "x-ratelimit-remaining-tokens": "0",
      "x-ratelimit-reset-tokens": "3m0s",
    });
    expect(refusal(() => limits.enter("a").takeTokens(1))).toBe(121);
    nowMs = 180_000;
    expect(refusal(() => limits.enter("a").takeTokens(180))).toBeUndefined();
  });

  it("are never more than a minute's worth and one request, whatever comes when", () => {
    const step = fc.record({
      waitMs: fc.nat(20_000),
      most: fc.integer({ min: 1, max: 900 }),
      share: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 60 }), (steps) => {
        let nowMs = 0;
        const limits = new ClientLimits({ tokensPerMinute: 600, perMinute: 1_000_000, now: () => nowMs });
        let used = 0;
        for (const { waitMs, most, share } of steps) {
          nowMs += waitMs;
          const visit: Visit = limits.enter("a");
          const wait = refusal(() => visit.takeTokens(most));
          if (wait === undefined) {
            const count = Math.floor(most * share);
            visit.usedTokens(count);
            used += count;
          } else expect(wait).toBeGreaterThan(0);
          visit.leave();
          expect(used).toBeLessThanOrEqual(600 + (nowMs * 600) / 60_000 + 900);
          expect(Number(limits.headers("a")["x-ratelimit-remaining-tokens"])).toBeLessThanOrEqual(600);
        }
        expect(limits.running).toBe(0);
      }),
    );
  });
});

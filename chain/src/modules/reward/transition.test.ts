import { epoch } from "@karat/proto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { emptyRow, serviceMicros, settleEpoch, unclaimed } from "./transition.ts";

const MILLION = 1_000_000n;
const count = fc.bigInt({ min: 0n, max: 50n });

const person = fc.record({
  name: fc.string({ minLength: 1, maxLength: 6, unit: fc.constantFrom("a", "b", "c", "d") }),
  weight: fc.bigInt({ min: 0n, max: 10_000n }),
  member: fc.boolean(),
  counted: fc.boolean(),
  assigned: count,
  missed: count,
  duties: count,
  dutiesMissed: count,
  excluded: fc.boolean(),
});
const people = fc.uniqueArray(person, { selector: ({ name }) => name, maxLength: 12 });
const amount = fc.bigInt({ min: 0n, max: 1n << 60n });

/** The protocol's formula, millionths rounded down at each factor. */
function service(p: { assigned: bigint; missed: bigint; duties: bigint; dutiesMissed: bigint }): bigint {
  const kept = (all: bigint, lost: bigint) => (MILLION * (all - lost + 1n)) / (all + 1n);
  const met = p.missed > p.assigned ? kept(p.missed, p.missed) : kept(p.assigned, p.missed);
  return (met * kept(p.duties + p.dutiesMissed, p.dutiesMissed)) / MILLION;
}

/** The same rule in other words: fractions, no division before the last step. */
function independent(
  total: bigint,
  all: bigint,
  parts: readonly { of: bigint; numerator: bigint; denominator: bigint }[],
) {
  return parts.map(({ of, numerator, denominator }) =>
    all === 0n ? 0n : (total * of * numerator) / (all * denominator),
  );
}

test("settlement agrees with an independent model and conserves every coin", () => {
  fc.assert(
    fc.property(people, amount, amount, (crowd, emission, dutyPool) => {
      const taking = crowd
        .filter(({ member, counted }) => member || counted)
        .sort((a, b) => (a.name < b.name ? -1 : 1));
      const members = taking
        .filter(({ member }) => member)
        .map(({ name, weight }) => epoch.Member.fromPartial({ operator: name, weight }));
      const rows = taking
        .filter(({ counted }) => counted)
        .map(({ name, assigned, missed, duties, dutiesMissed, excluded }) => ({
          ...emptyRow(3n, name),
          assigned,
          missed,
          duties,
          dutiesMissed,
          excluded,
        }));
      const settled = settleEpoch({ number: 3n, emission, dutyPool, members, rows });

      const weightOf = (p: (typeof taking)[number]) => (p.member ? p.weight : 0n);
      const out = (p: (typeof taking)[number]) => p.counted && p.excluded;
      const emissions = independent(
        emission,
        taking.reduce((sum, p) => sum + weightOf(p), 0n),
        taking.map((p) => {
          const seen = p.counted ? p : { assigned: 0n, missed: 0n, duties: 0n, dutiesMissed: 0n };
          return { of: weightOf(p), numerator: out(p) ? 0n : service(seen), denominator: MILLION };
        }),
      );
      const duties = independent(
        dutyPool,
        taking.reduce((sum, p) => sum + (p.counted ? p.duties : 0n), 0n),
        taking.map((p) => ({ of: p.counted ? p.duties : 0n, numerator: out(p) ? 0n : 1n, denominator: 1n })),
      );
      expect(settled.rows.map(({ participant, emission, dutyFees }) => [participant, emission, dutyFees])).toEqual(
        taking.map(({ name }, i) => [name, emissions[i], duties[i]]),
      );
      const paid = settled.rows.reduce((sum, row) => sum + unclaimed(row), 0n);
      expect(paid + settled.community).toBe(emission + dutyPool);
      expect(settled.community).toBeGreaterThanOrEqual(0n);
    }),
  );
});

describe("service", () => {
  const none = { assigned: 0n, missed: 0n, duties: 0n, dutiesMissed: 0n };

  test("is whole without misses, halves with the only one, and multiplies both kinds", () => {
    expect(serviceMicros(none)).toBe(MILLION);
    expect(serviceMicros({ ...none, assigned: 1n, missed: 1n })).toBe(500_000n);
    expect(serviceMicros({ ...none, assigned: 99n, missed: 99n })).toBe(10_000n);
    expect(serviceMicros({ assigned: 1n, missed: 1n, duties: 0n, dutiesMissed: 1n })).toBe(250_000n);
  });

  test("never rises with a miss, stays within its range", () => {
    fc.assert(
      fc.property(count, count, count, count, (assigned, missed, duties, dutiesMissed) => {
        const before = serviceMicros({ assigned, missed, duties, dutiesMissed });
        expect(before).toBeGreaterThanOrEqual(0n);
        expect(before).toBeLessThanOrEqual(MILLION);
        expect(serviceMicros({ assigned, missed: missed + 1n, duties, dutiesMissed })).toBeLessThan(before);
        expect(serviceMicros({ assigned, missed, duties, dutiesMissed: dutiesMissed + 1n })).toBeLessThan(before);
      }),
    );
  });
});

test("an excluded member's share goes to nobody else", () => {
  const members = ["a", "b"].map((operator) => epoch.Member.fromPartial({ operator, weight: 50n }));
  const honest = settleEpoch({ number: 0n, emission: 1_000n, dutyPool: 0n, members, rows: [] });
  const rows = [{ ...emptyRow(0n, "a"), excluded: true }];
  const punished = settleEpoch({ number: 0n, emission: 1_000n, dutyPool: 0n, members, rows });
  expect(honest.rows.map(({ emission }) => emission)).toEqual([500n, 500n]);
  expect(punished.rows.map(({ emission }) => emission)).toEqual([0n, 500n]);
  expect(punished.community).toBe(500n);
});

test("a member who was carried over excluded earns nothing", () => {
  const members = [epoch.Member.fromPartial({ operator: "a", weight: 50n, excludedHeight: 4n })];
  expect(settleEpoch({ number: 1n, emission: 10n, dutyPool: 0n, members, rows: [] })).toMatchObject({
    rows: [{ excluded: true, emission: 0n }],
    community: 10n,
  });
});

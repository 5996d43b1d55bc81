import { participant } from "@karat/proto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { keyNamed } from "../testing/identities.ts";
import { capWeights, consensusSet, MAX_MEMBERS, snapshot, validatorChanges, weightOf } from "./transition.ts";

const { ACTIVE, EXCLUDED, BANNED, LEAVING } = participant.ParticipantStatus;
const rules = { minCollateral: 100n, collateralPerWeight: 10n, maxWeightBps: 3_000 };

function someone(name: string, change: Partial<participant.Participant> = {}): participant.Participant {
  return participant.Participant.fromPartial({
    operator: keyNamed(name).address,
    collateral: 1_000n,
    status: ACTIVE,
    offers: [{ model: "tiny", inputPrice: 1n, outputPrice: 1n, capacity: 50n }],
    ...change,
  });
}

describe("weights", () => {
  test("are what is offered, as far as the collateral carries it", () => {
    const offers = [someone("a").offers[0]!, { ...someone("a").offers[0]!, model: "small", capacity: 70n }];
    expect(weightOf(someone("a", { offers }), 10n)).toBe(100n);
    expect(weightOf(someone("a", { offers, collateral: 10_000n }), 10n)).toBe(120n);
    expect(weightOf(someone("a", { offers, collateral: 119n }), 10n)).toBe(11n);
  });

  const weights = fc.array(fc.bigInt({ min: 1n, max: 1_000_000n }), { minLength: 4, maxLength: 20 });
  const share = fc.bigInt({ min: 2_500n, max: 10_000n });

  test("no capped weight exceeds its share of the total, and no ceiling could be higher", () => {
    fc.assert(
      fc.property(weights, share, (given, maxBps) => {
        const capped = capWeights(given, maxBps);
        const total = capped.reduce((sum, weight) => sum + weight, 0n);
        capped.forEach((weight, i) => {
          expect(weight * 10_000n).toBeLessThanOrEqual(maxBps * total);
          expect(weight).toBeLessThanOrEqual(given[i]!);
          expect(weight).toBeGreaterThan(0n);
        });
        const ceiling = capped.reduce((most, weight, i) => (weight < given[i]! && weight > most ? weight : most), 0n);
        if (ceiling === 0n) return;
        const raised = given.map((weight) => (weight < ceiling + 1n ? weight : ceiling + 1n));
        const raisedTotal = raised.reduce((sum, weight) => sum + weight, 0n);
        expect((ceiling + 1n) * 10_000n).toBeGreaterThan(maxBps * raisedTotal);
      }),
    );
  });

  test("stay as they are among three, or where the share cannot be kept", () => {
    expect(capWeights([100n, 1n, 1n], 3_000n)).toEqual([100n, 1n, 1n]);
    expect(capWeights([100n, 1n, 1n, 1n], 2_000n)).toEqual([100n, 1n, 1n, 1n]);
    expect(capWeights([1_000n, 100n, 100n, 100n], 3_000n)).toEqual([128n, 100n, 100n, 100n]);
  });
});

describe("snapshot", () => {
  test("has whoever is active with collateral and weight, in order of operators", () => {
    const all = [
      someone("a"),
      someone("excluded", { status: EXCLUDED }),
      someone("banned", { status: BANNED }),
      someone("leaving", { status: LEAVING }),
      someone("poor", { collateral: 99n }),
      someone("idle", { offers: [] }),
      someone("b", { collateral: rules.minCollateral }),
    ];
    const expected = [keyNamed("a").address, keyNamed("b").address].sort();
    expect(snapshot(all, rules).map(({ operator }) => operator)).toEqual(expected);
    expect(snapshot([...all].reverse(), rules)).toEqual(snapshot(all, rules));
  });

  test("has the heaviest where there are too many", () => {
    const crowd = Array.from({ length: MAX_MEMBERS + 1 }, (_, i) =>
      someone(`p${i}`, { collateral: i === 7 ? 490n : 500n }),
    );
    const members = snapshot(crowd, rules);
    expect(members).toHaveLength(MAX_MEMBERS);
    expect(members.some(({ operator }) => operator === keyNamed("p7").address)).toBe(false);
  });
});

describe("consensus set", () => {
  const set = fc
    .uniqueArray(fc.tuple(fc.integer({ min: 0, max: 9 }), fc.bigInt({ min: 1n, max: 5n })), {
      selector: ([key]) => key,
    })
    .map((entries) => entries.map(([key, power]) => ({ publicKey: new Uint8Array(32).fill(key), power })));
  const asMap = (entries: readonly { publicKey: Uint8Array; power: bigint }[]) =>
    new Map(entries.map(({ publicKey, power }) => [publicKey[0]!, power]));

  test("changes lead from one set to the other, remove only who is there, and never everybody", () => {
    fc.assert(
      fc.property(set, set, (from, to) => {
        const applied = asMap(from);
        for (const { publicKey, power } of validatorChanges(from, to)) {
          if (power === 0n) expect(applied.delete(publicKey[0]!)).toBe(true);
          else {
            expect(applied.get(publicKey[0]!)).not.toBe(power);
            applied.set(publicKey[0]!, power);
          }
        }
        expect(applied).toEqual(to.length === 0 ? asMap(from) : asMap(to));
      }),
    );
  });

  test("has only members with a consensus key", () => {
    const members = snapshot([someone("a"), someone("b")], rules);
    const key = new Uint8Array(32).fill(1);
    const keyed = consensusSet(members, (operator) => (operator === keyNamed("a").address ? key : new Uint8Array()));
    expect(keyed).toEqual([{ publicKey: key, power: 50n }]);
  });
});

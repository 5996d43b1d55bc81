/** The numbers that the design promises of standings and stakes, on fewer trials than `main.ts` takes. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { randomFrom } from "../random.ts";
import { expectedGain, PARTICIPANTS, TERMS, worthOfOneCheat } from "./economics.ts";
import { checked, newcomer, passed, simulateCheater, simulateHonest } from "./standing.ts";

test.each([false, true])("no honest participant is excluded; failures in bursts: %s", (correlated) => {
  const outcome = simulateHonest(1_000, 10_000, correlated, randomFrom(1));
  expect(outcome.excluded).toBe(0);
  // The participants did fail, at the rate that the chain bets against.
  expect(outcome.fails / (outcome.participants * outcome.checks)).toBeGreaterThan(0.0009);
  expect(outcome.everSuspended).toBeLessThan(correlated ? 150 : 5);
});

test("a full cheater is out within 5 checks, one in ten within 70, one in a hundred some day", () => {
  expect(simulateCheater(1, 0, 500, 50, randomFrom(2)).excluded).toEqual([4, 5]);
  expect(simulateCheater(0.1, 0, 500, 2_000, randomFrom(3)).excluded[0]).toBeLessThanOrEqual(70);
  expect(simulateCheater(0.01, 0, 20, 20_000, randomFrom(4)).excluded[1]).toBeLessThan(5_000);
});

test("a million honest checks do not shield who begins to cheat", () => {
  const full = simulateCheater(1, 1_000_000, 200, 50, randomFrom(5));
  expect([full.suspended[1], full.excluded[1]].map(Number).every((checks) => checks <= 12)).toBe(true);
  const tenth = simulateCheater(0.1, 1_000_000, 200, 2_000, randomFrom(6));
  expect(Number(tenth.suspended[0])).toBeLessThanOrEqual(70);
  expect(Number(tenth.excluded[1])).toBeLessThan(300);
});

test("who stops failing leaves suspension", () => {
  let one = passed(newcomer(), 100_000);
  for (let i = 0; i < 6; i++) one = checked(one, true);
  expect(one.state).toBe("suspended");
  expect(passed(one, 270).state).toBe("good");
});

test.each(PARTICIPANTS.map((stakes) => [stakes.name, stakes] as const))(
  "cheating loses money at every number of cheats: %s",
  (_, stakes) => {
    const trials = Math.ceil(200_000 / stakes.inferences);
    for (const share of [0, 0.01, 0.1, 0.5, 1]) {
      const cheats = Math.max(1, Math.round(share * stakes.inferences));
      // One cheat is seldom checked: enough trials that some are.
      const outcome = expectedGain(stakes, TERMS, cheats, cheats === 1 ? 5 * trials + 2_000 : trials, randomFrom(7));
      expect(outcome.mean, `${cheats} cheats`).toBeLessThan(0);
    }
  },
);

test("no cheat is worth doing, whoever does it: every number of them loses money", () => {
  const KARAT = 1_000_000n;
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 3_000 }),
      fc.nat(1_000_000),
      fc.bigInt({ min: 0n, max: 100_000n }),
      fc.bigInt({ min: 1_000n, max: 1_000_000n }),
      (inferences, reputation, reward, collateral) => {
        const stakes = { name: "any", inferences, reputation, reward: reward * KARAT, collateral: collateral * KARAT };
        expect(worthOfOneCheat(stakes, TERMS)).toBeLessThan(0);
      },
    ),
    { numRuns: 40 },
  );
});

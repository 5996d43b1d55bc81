/** A seeded part of the attack suite on the real engine, against a small part of the time: a regression gate, not a measurement. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Lab, openLab } from "./lab.ts";
import { RATE_ATTACKS } from "./rates.ts";
import { outcomeOf, rateKept } from "./report.ts";
import { ATTACKS } from "./suite.ts";

const RUNS = 12;
const SLOW_RUNS = 4;
/** Five engines, on a machine that others may use. */
const LIMIT_MS = 240_000;

let lab: Lab;
beforeAll(async () => {
  lab = await openLab();
}, LIMIT_MS);
afterAll(() => lab?.close());

const quick = ATTACKS.filter((attack) => attack.quick);

describe("attacks on the model", () => {
  const cheats = quick.filter(({ honest }) => !honest);
  test.each(cheats.map((attack) => [`${attack.id} ${attack.name}`, attack] as const))(
    "%s is seen",
    async (_, attack) => {
      const { runs, atOnePercent } = outcomeOf(attack, await attack.run(lab, attack.slow ? SLOW_RUNS : RUNS, 41));
      // One of a dozen may slip through where 95 % are promised.
      expect(atOnePercent).toBeGreaterThanOrEqual(Math.floor((attack.promise ?? 0) * runs) - 1);
    },
  );
});

describe("cheats that are no texts", () => {
  test.each(RATE_ATTACKS.map((attack) => [`${attack.id} ${attack.name}: ${attack.counted}`, attack] as const))(
    "%s",
    async (_, { id, name, counted, honest = false, promise, factor = 1, run }) => {
      const runs = factor * SLOW_RUNS;
      const rate = { id, name, counted, honest, ...(promise !== undefined && { promise }), runs, measured: "" };
      expect(rateKept({ ...rate, found: await run(runs, lab) })).toBe(true);
    },
  );
});

describe("what only looks like an attack", () => {
  const honest = quick.filter((attack) => attack.honest);
  test.each(honest.map((attack) => [`${attack.id} ${attack.name}`, attack] as const))(
    "%s passes",
    async (_, attack) => {
      const found = await attack.run(lab, attack.slow ? SLOW_RUNS : RUNS, 42);
      expect(found.length).toBeGreaterThan(0);
      expect(outcomeOf(attack, found).failed).toBe(0);
    },
  );
});

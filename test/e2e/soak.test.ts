import { expect, test } from "vitest";
import { FAULTS } from "../soak/faults.ts";
import { soak } from "../soak/soak.ts";
import { summary } from "../soak/summary.ts";

test("under faults of every kind no request fails while another executor is alive, and the books are right", async () => {
  const lines: string[] = [];
  const result = await soak({
    requests: 300,
    concurrency: 8,
    // Slow enough that every fault falls into the load.
    perSecond: 7,
    faults: FAULTS.length,
    chainStopMs: 6_000,
    blockTimeMs: 300,
    seed: "e2e",
    report: (line) => lines.push(line),
  });
  expect(result.violations, JSON.stringify({ ...summary(result), lines }, null, 2)).toEqual([]);
  expect(result.outcomes).toHaveLength(300);
  expect(new Set(result.faults.map(({ kind }) => kind))).toEqual(new Set(FAULTS));
});

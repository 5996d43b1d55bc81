import { afterAll, beforeAll, expect, test } from "vitest";
import { FAULTS } from "../soak/faults.ts";
import { soakOn } from "../soak/soak.ts";
import { summary } from "../soak/summary.ts";
import { startNetwork, type TestNetwork } from "./support.ts";

/** Deadlines are blocks: on a busy machine a process takes many seconds to start again. */
const blockTimeMs = 1_000;
let net: TestNetwork;
beforeAll(async () => {
  net = await startNetwork("--block-time-ms", String(blockTimeMs));
});
// Here and not in the test, so that it ends also when the test's time is over.
afterAll(() => net?.close());

test("under faults of every kind no request fails while another executor is alive, and the books are right", async () => {
  const lines: string[] = [];
  const result = await soakOn(net, {
    requests: 300,
    concurrency: 8,
    // Slow enough that every fault falls into the load.
    perSecond: 7,
    faults: FAULTS.length,
    chainStopMs: 6_000,
    blockTimeMs,
    seed: "e2e",
    report: (line) => lines.push(line),
  });
  expect(result.violations, JSON.stringify({ ...summary(result), lines }, null, 2)).toEqual([]);
  expect(result.outcomes).toHaveLength(300);
  // What a killed executor was writing was continued, and both parts were recorded and settled.
  expect(result.continued).toBeGreaterThan(0);
  expect(new Set(result.faults.map(({ kind }) => kind))).toEqual(new Set(FAULTS));
});

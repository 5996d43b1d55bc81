import { expect, test } from "vitest";
import type { Verification } from "./verify.ts";
import { plotOf } from "./verifyPlot.ts";

const check: Verification = {
  inferenceId: "ab".repeat(32),
  model: "m",
  executor: "karat1",
  tokens: 3,
  verdict: "fail",
  reason: "sampling",
  pBucket: 10,
  statistics: { gate: 0.004, sigma: 0.002 },
  positions: [
    { id: 1, token: "a", demanded: 1, demanded_token: "a", margin: 0, spread: 0.001 },
    { id: 2, token: "b", demanded: 3, demanded_token: "c", margin: 0.5, spread: 0.002 },
    { id: 4, token: "d", demanded: 4, demanded_token: "d", margin: 0, spread: null },
  ],
  distances: [],
  onChain: [],
};

test("draws each margin and each spread there is, those beyond the gate in red", () => {
  const svg = plotOf(check);
  expect(svg.match(/<circle /g)).toHaveLength(3);
  expect(svg.match(/<circle [^>]*#c00/g)).toHaveLength(1);
});

test("draws the distance of each vector of an embedding", () => {
  const svg = plotOf({ ...check, statistics: { honestPeak: 0.001 }, positions: [], distances: [0.0002, 0.009] });
  expect(svg.match(/<circle /g)).toHaveLength(2);
  expect(svg.match(/<circle [^>]*#c00/g)).toHaveLength(1);
});

test("draws nothing where a hash already told", () => {
  expect(plotOf({ ...check, statistics: {}, positions: [] })).not.toContain("<circle");
});

import { expect, test } from "vitest";
import { detectionPlot } from "./plot.ts";
import { kept, type Outcome } from "./report.ts";
import { wilson } from "./wilson.ts";

const outcome: Outcome = {
  id: "A1",
  name: "x",
  honest: false,
  tokens: 16,
  runs: 100,
  failed: 80,
  atOnePercent: 95,
  peer: 0,
  peer2026: 0,
};

test("a promise is kept by what p ≤ 1 % finds, and by how few honest runs fail", () => {
  expect(kept({ ...outcome, promise: 0.95 })).toBe(true);
  expect(kept({ ...outcome, promise: 0.96 })).toBe(false);
  expect(kept({ ...outcome, honest: true, failed: 3, promise: 0.02 })).toBe(false);
  expect(kept(outcome)).toBe(true);
});

test("Wilson intervals (Newcombe 1998, table I)", () => {
  const { low, high } = wilson(81, 263);
  expect([low.toFixed(4), high.toFixed(4)]).toEqual(["0.2553", "0.3662"]);
  expect(wilson(0, 20).low).toBe(0);
  expect(wilson(0, 20).high).toBeCloseTo(0.1611, 4);
  expect(wilson(0, 0)).toEqual({ low: 0, high: 1 });
});

test("a plot has a full, a dashed and a dotted curve for each attack", () => {
  const svg = detectionPlot("t", [outcome, { ...outcome, tokens: 32 }, { ...outcome, name: "y" }]);
  expect(svg.match(/<polyline/g)).toHaveLength(6);
  expect(svg.match(/stroke-dasharray/g)).toHaveLength(4);
});

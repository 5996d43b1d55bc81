import { expect, test } from "vitest";
import { peerScore } from "./peer.ts";

const position = (value: number) => ({
  id: 1,
  top: [
    { id: 1, logprob: value },
    { id: 2, logprob: -2 },
  ],
});
const validator = [
  [1, -1],
  [2, -2],
] as const;
const scored = (values: readonly number[]) =>
  peerScore(
    values.map(position),
    values.map(() => validator),
    2,
  );

test("the formula by hand: |v − b| / (|v| + |b|) / 2 over k and max(100, N)", () => {
  // −1 against −3: 2 / 4 / 2 = 0.25 of one token of two.
  const { distance, distance2026, rejected2026 } = scored(new Array(50).fill(-3));
  expect(distance).toBeCloseTo((50 * 0.25) / (100 * 2), 6);
  expect(distance2026).toBeCloseTo(0.125 - 0.1 / Math.sqrt(50), 6);
  expect(rejected2026).toBe(false);
});

test("the rule of October 2026 rejects many far positions and impossible tokens, and nothing that is equal", () => {
  expect(scored(new Array(50).fill(-1))).toEqual({ distance: 0, distance2026: 0, rejected2026: false });
  const far = (value: number) => ({
    id: 1,
    top: [
      { id: 1, logprob: value },
      { id: 2, logprob: value },
    ],
  });
  const list = (count: number) => Array.from({ length: 100 }, (_, i) => (i < count ? far(-40) : position(-1)));
  const rejected = (count: number) =>
    peerScore(
      list(count),
      list(count).map(() => validator),
      2,
    ).rejected2026;
  expect([rejected(2), rejected(3)]).toEqual([false, true]);
  const absent = { id: 9, top: [{ id: 9, logprob: -1 }] };
  expect(peerScore([absent, absent], [validator, validator], 1).rejected2026).toBe(true);
});

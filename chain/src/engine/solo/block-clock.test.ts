import { expect, test } from "vitest";
import { BlockClock } from "./block-clock.ts";

test("blocks that take longer than the block time leave requests their turn", async () => {
  const clock = new BlockClock(1, 1, () => false);
  let turns = 0;
  const other = setInterval(() => turns++, 0);
  for (let block = 0; block < 10; block++) {
    // Ten milliseconds in which the event loop stands still, as in a large block.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    expect(await clock.next()).toBe(true);
  }
  clearInterval(other);
  expect(turns).toBeGreaterThan(0);
});

test("a stopped clock gives no more blocks, whoever waits", async () => {
  const clock = new BlockClock(60_000, 60_000, () => false);
  const next = clock.next();
  clock.stop();
  expect([await next, await clock.next()]).toEqual([false, false]);
});

test.each([
  [0, 1],
  [10, 5],
  [Number.NaN, 5],
])("block times of %d and %d ms are refused", (busy, idle) => {
  expect(() => new BlockClock(busy, idle, () => false)).toThrow(expect.objectContaining({ code: "engine/bad-option" }));
});

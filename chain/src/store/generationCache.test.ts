import { expect, it } from "vitest";
import { GenerationCache } from "./generationCache.ts";

it("stays within its bytes and keeps what is read", () => {
  const cache = new GenerationCache<number, object>(100_000, () => 500);
  for (let id = 1; id <= 10_000; id++) {
    cache.set(id, {});
    cache.get(1);
  }
  expect(cache.size).toBeLessThanOrEqual(100_000 / 500);
  expect(cache.get(1)).toBeDefined();
  expect(cache.get(2)).toBeUndefined();
  expect(cache.get(10_000)).toBeDefined();
  cache.delete(10_000);
  expect(cache.get(10_000)).toBeUndefined();
});

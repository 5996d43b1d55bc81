import { readFileSync } from "node:fs";
import { join } from "node:path";
import { toHex } from "@karat/common";
import { expect, test } from "vitest";
import { simulate } from "./simulation.ts";

const LIMIT_MS = 300_000;
const failed = JSON.parse(readFileSync(join(import.meta.dirname, "seeds.json"), "utf8")) as {
  seed: string;
  blocks: number;
  exportEvery: number;
}[];

test(
  "random blocks: equal on both replicas, no invariant broken, exports that import as they were, every outcome",
  async () => {
    const { coverage, exports } = await simulate({ seed: "always", blocks: 300, blocksAtMost: 900, exportEvery: 70 });
    expect(coverage.missing()).toEqual([]);
    expect(exports).toBeGreaterThanOrEqual(4);
    expect(coverage.transactions).toBeGreaterThan(1_000);
    const refusedBy = new Set([...coverage.refusals.keys()].map((name) => name.split("/")[0]));
    expect([...refusedBy].sort()).toEqual([
      "deposit",
      "gov",
      "inference",
      "participant",
      "reward",
      "sdk",
      "slashing",
      "verification",
    ]);
    const records = [...coverage.refusals.keys()].filter((name) => name.startsWith("inference/"));
    expect(records.length).toBeGreaterThanOrEqual(20);
  },
  LIMIT_MS,
);

test(
  "a seed gives the same chain again, another seed another one",
  async () => {
    const run = async (seed: string) => toHex((await simulate({ seed, blocks: 25 })).appHash);
    const [first, again, other] = [await run("one"), await run("one"), await run("two")];
    expect(again).toBe(first);
    expect(other).not.toBe(first);
  },
  LIMIT_MS,
);

if (failed.length > 0) {
  test.each(failed)(
    "seed $seed, which failed once",
    async (options) => {
      await simulate(options);
    },
    LIMIT_MS,
  );
}

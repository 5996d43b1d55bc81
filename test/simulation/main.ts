/**
 * The long run: `node test/simulation/main.ts [--blocks 5000] [--seed x] [--export-every 100]`. Without a seed every run is a
 * new one. A seed that fails is added to seeds.json, which the test always runs.
 */
import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { messageOf, toHex } from "@karat/common";
import type { Coverage } from "./coverage.ts";
import { simulate } from "./simulation.ts";

const { values } = parseArgs({
  options: {
    blocks: { type: "string", default: "5000" },
    seed: { type: "string", default: randomBytes(6).toString("hex") },
    "export-every": { type: "string", default: "100" },
    quiet: { type: "boolean", default: false },
  },
});
const [blocks, exportEvery] = [Number(values.blocks), Number(values["export-every"])];
if (!Number.isSafeInteger(blocks) || blocks < 1 || !Number.isSafeInteger(exportEvery) || exportEvery < 0) {
  throw new RangeError("--blocks is a positive, --export-every a non-negative whole number");
}

const started = performance.now();
const line = (text: string) => void process.stdout.write(`${text}\n`);
const table = (counts: ReadonlyMap<string, number>) =>
  [...counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, count]) => `  ${String(count).padStart(7)}  ${name}`);

function progress(coverage: Coverage): void {
  if (values.quiet || coverage.blocks % 500 !== 0) return;
  const seconds = (performance.now() - started) / 1000;
  line(`${coverage.blocks} blocks, ${coverage.transactions} transactions, ${seconds.toFixed(0)} s`);
}

try {
  const run = await simulate({
    seed: values.seed,
    blocks,
    exportEvery,
    onBlock: (_, coverage) => progress(coverage),
  });
  const { coverage } = run;
  const rows = values.quiet ? [] : ["outcomes:", ...table(coverage.counts), "refusals:", ...table(coverage.refusals)];
  for (const row of rows) line(row);
  const missing = coverage.missing();
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  line(`seed ${values.seed}: ${coverage.blocks} blocks, ${coverage.transactions} transactions, ${run.exports} exports`);
  line(`app hash ${toHex(run.appHash)}, ${seconds} s; never happened: ${missing.join(", ") || "nothing"}`);
} catch (error) {
  keep(values.seed, blocks);
  line(messageOf(error));
  throw error;
}

function keep(seed: string, failedWithin: number): void {
  const path = join(import.meta.dirname, "seeds.json");
  const seeds = JSON.parse(readFileSync(path, "utf8")) as { seed: string; blocks: number; exportEvery: number }[];
  if (seeds.some((known) => known.seed === seed)) return;
  seeds.push({ seed, blocks: failedWithin, exportEvery });
  writeFileSync(path, `${JSON.stringify(seeds, null, 2)}\n`);
}

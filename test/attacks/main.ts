/**
 * `node test/attacks/main.ts --full [--runs 100] [--out docs]`: the whole suite on the real engine. Writes verification.md and its
 * plots; without --full only the subset that runs with every change, printed. Exit code 1 when a promise is not kept.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Attack } from "./attack.ts";
import { type Lab, openLab, trials } from "./lab.ts";
import { pageOf } from "./page.ts";
import { detectionPlot } from "./plot.ts";
import { kept, type Outcome, outcomeOf, type PeerThresholds, peerThresholds } from "./report.ts";
import { ATTACKS } from "./suite.ts";

const { values } = parseArgs({
  options: {
    full: { type: "boolean", default: false },
    runs: { type: "string", default: "100" },
    out: { type: "string", default: new URL("../../docs", import.meta.url).pathname },
  },
});
const runs = Number(values.runs);
if (!Number.isInteger(runs) || runs < 4) throw new Error("--runs: a whole number from 4");
/** Runs of an attack that costs a prefill for each token. */
const SLOW_SHARE = 4;
const SEED = 20_261_121;

const lab = await openLab();
const outcomes: Outcome[] = [];
try {
  const thresholds = new Map<number, PeerThresholds>();
  for (const attack of ATTACKS.filter(({ quick }) => values.full || quick)) {
    const outcome = await measure(attack, thresholds);
    outcomes.push(outcome);
    console.log(JSON.stringify(outcome));
  }
} finally {
  await lab.close();
}
if (values.full) write(outcomes, lab);
const broken = outcomes.filter((outcome) => !kept(outcome));
for (const { id, name, tokens } of broken) console.error(`not as promised: ${id} ${name}, ${tokens ?? "any"} tokens`);
process.exitCode = broken.length === 0 ? 0 : 1;

async function measure(attack: Attack, thresholds: Map<number, PeerThresholds>): Promise<Outcome> {
  const { tokens } = attack;
  if (tokens !== undefined && !thresholds.has(tokens)) {
    // The peer's threshold from honest runs of the same length on the same engine.
    const honest = await trials(lab, lab.declared, { tokens, count: runs, seed: SEED + tokens });
    thresholds.set(tokens, peerThresholds(honest));
  }
  const count = attack.slow ? Math.max(4, Math.floor(runs / SLOW_SHARE)) : runs;
  const found = await attack.run(lab, count, SEED + 7 * ATTACKS.indexOf(attack));
  return outcomeOf(attack, found, tokens === undefined ? undefined : thresholds.get(tokens));
}

function write(all: readonly Outcome[], { profile }: Lab): void {
  const folder = join(values.out, "verification");
  mkdirSync(folder, { recursive: true });
  const curves = all.filter(({ id }) => ["A1", "A2", "A3"].includes(id));
  writeFileSync(
    join(folder, "run-by.svg"),
    detectionPlot(
      "Answers run by a substitute",
      curves.filter(({ id }) => id !== "A3"),
    ),
  );
  writeFileSync(
    join(folder, "laundered.svg"),
    detectionPlot(
      "Answers laundered through one prefill of the declared model",
      curves.filter(({ id }) => id === "A3"),
    ),
  );
  writeFileSync(join(values.out, "verification.md"), pageOf(all, profile, runs));
}

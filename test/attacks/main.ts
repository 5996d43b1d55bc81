/**
 * `node test/attacks/main.ts --full [--only A14,A15] [--runs 100] [--out docs]`: the whole suite on the real engine, or the attacks
 * named. Writes what was measured to verification/outcomes.json (rows of other attacks stay as they are), and from it verification.md and
 * its plots; without --full only the subset that runs with every change, printed; with --page alone only page and plots anew. Exit code 1 when a promise is not kept.
 */
import { parseArgs } from "node:util";
import { loadProfile } from "../../ml-node/src/service/profile.ts";
import type { Attack } from "./attack.ts";
import { type Lab, openLab, PROFILE, trials } from "./lab.ts";
import { kept, measuredHere, type Outcome, outcomeOf, type PeerThresholds, peerThresholds } from "./report.ts";
import { readRows, writePage, writeRows } from "./results.ts";
import { ATTACKS } from "./suite.ts";

const { values } = parseArgs({
  options: {
    full: { type: "boolean", default: false },
    only: { type: "string" },
    page: { type: "boolean", default: false },
    runs: { type: "string", default: "100" },
    out: { type: "string", default: new URL("../../docs", import.meta.url).pathname },
  },
});
const runs = Number(values.runs);
if (!Number.isInteger(runs) || runs < 4) throw new Error("--runs: a whole number from 4");
/** Runs of an attack that costs a prefill for each token. */
const SLOW_SHARE = 4;
const SEED = 20_261_121;

const only = values.only?.split(",");
const known = new Set(ATTACKS.map(({ id }) => id));
for (const id of only ?? []) if (!known.has(id)) throw new Error(`--only: some of ${[...known].join(", ")}`);
const measured = measuredHere();

if (values.page) {
  writePage(values.out, await loadProfile(PROFILE));
  process.exit();
}
const lab = await openLab();
const outcomes: Outcome[] = [];
try {
  const thresholds = new Map<number, PeerThresholds>();
  for (const attack of ATTACKS.filter(({ id, quick }) => (values.full || quick) && (only?.includes(id) ?? true))) {
    const outcome = { ...(await measure(attack, thresholds)), measured };
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
  return outcomeOf(attack, found, tokens === undefined || attack.peerless ? undefined : thresholds.get(tokens));
}

function write(fresh: readonly Outcome[], { profile }: Lab): void {
  const keyOf = ({ id, name, tokens }: Pick<Outcome, "id" | "name" | "tokens">): string => `${id} ${name} ${tokens}`;
  const latest = new Map([...readRows<Outcome>(values.out, "outcomes"), ...fresh].map((row) => [keyOf(row), row]));
  const all = ATTACKS.flatMap((attack) => latest.get(keyOf(attack)) ?? []);
  writeRows(values.out, "outcomes", all);
  writePage(values.out, profile);
}

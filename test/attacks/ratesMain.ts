/**
 * `node test/attacks/ratesMain.ts [--runs 60] [--out docs]`: the attacks that are no text of a model, on the chain's modules and the real engine. Writes
 * verification/rates.json and the page. Exit code 1 when a promise is not kept.
 */
import { parseArgs } from "node:util";
import { openLab } from "./lab.ts";
import { RATE_ATTACKS } from "./rates.ts";
import { measuredHere, type Rate, rateKept } from "./report.ts";
import { writePage, writeRows } from "./results.ts";

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "60" },
    out: { type: "string", default: new URL("../../docs", import.meta.url).pathname },
  },
});
const count = Number(values.runs);
if (!Number.isInteger(count) || count < 1) throw new Error("--runs: a whole number from 1");

const lab = await openLab();
const rates: Rate[] = [];
try {
  for (const { id, name, counted, honest = false, promise, factor = 1, run } of RATE_ATTACKS) {
    const runs = count * factor;
    const found = await run(runs, lab);
    const about = { id, name, counted, honest, ...(promise !== undefined && { promise }) };
    rates.push({ ...about, runs, found, measured: measuredHere() });
    console.log(JSON.stringify(rates.at(-1)));
  }
} finally {
  await lab.close();
}
writeRows(values.out, "rates", rates);
writePage(values.out, lab.profile);
const broken = rates.filter((rate) => !rateKept(rate));
for (const { id, name } of broken) console.error(`not as promised: ${id} ${name}`);
process.exitCode = broken.length === 0 ? 0 : 1;

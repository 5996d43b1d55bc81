/** `node test/soak/main.ts --requests 10000`: a soak of a whole network with faults; exit code 1 when something did not hold. */
import { parseArgs } from "node:util";
import { soak } from "./soak.ts";
import { summary } from "./summary.ts";

const { values } = parseArgs({
  options: {
    requests: { type: "string", default: "10000" },
    concurrency: { type: "string", default: "8" },
    "per-second": { type: "string" },
    faults: { type: "string" },
    "chain-stop-ms": { type: "string", default: "20000" },
    "block-time-ms": { type: "string", default: "1000" },
    seed: { type: "string", default: "1" },
  },
});

const whole = (name: string, value: string): number => {
  const number = Number(value);
  if (!Number.isInteger(number) || number < 1) throw new RangeError(`--${name} is a whole number from 1`);
  return number;
};
const requests = whole("requests", values.requests);
const result = await soak({
  requests,
  concurrency: whole("concurrency", values.concurrency),
  ...(values["per-second"] ? { perSecond: whole("per-second", values["per-second"]) } : {}),
  faults: whole("faults", values.faults ?? String(Math.max(5, Math.ceil(requests / 250)))),
  chainStopMs: whole("chain-stop-ms", values["chain-stop-ms"]),
  blockTimeMs: whole("block-time-ms", values["block-time-ms"]),
  seed: values.seed,
  report: (line) => process.stderr.write(`${new Date().toISOString()} ${line}\n`),
});
process.stdout.write(`${JSON.stringify(summary(result), null, 2)}\n`);
process.exitCode = result.violations.length > 0 ? 1 : 0;

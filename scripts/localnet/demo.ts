/** `demo cheat`: a fresh network, one participant that cheats, and the records that convict it. */
import { rmSync } from "node:fs";
import { type CheatOutcome, runCheat } from "./lib/cheat.ts";
import { takeDemoFolder } from "./lib/demoFolder.ts";
import { freePortBase } from "./lib/layout.ts";
import { Network } from "./lib/network.ts";
import { readOptions, UsageError } from "./lib/options.ts";
import { print, runScript } from "./lib/run.ts";
import type { Attack } from "./lib/services.ts";

const ATTACKS: Readonly<Record<string, Attack>> = {
  swap: { kind: "swap", model: "karat-tiny-q4_0" },
  launder: { kind: "launder", model: "karat-mini-f16" },
};

await runScript(async () => {
  const options = readOptions(process.argv.slice(2), {
    attack: { type: "string" },
    runs: { type: "string" },
    keep: { type: "boolean" },
  });
  const attack = ATTACKS[String(options.flags.attack ?? "swap")];
  if (options.rest[0] !== "cheat" || !attack)
    throw new UsageError("usage: scripts/localnet/demo cheat [--attack swap|launder] [--runs N] [--keep] [--json]");
  const runs = Number(options.flags.runs ?? 1);
  const report = options.json ? () => undefined : print;
  const dir = options.flags.dir ? options.dir : `${options.dir}-demo`;
  const blockTimeMs = options.flags["block-time-ms"] ? options.blockTimeMs : 500;
  let failed = 0;
  for (let run = 1; run <= runs; run++) {
    if (runs > 1) report(`— run ${run} of ${runs}`);
    const outcome = await once({ ...options, dir, blockTimeMs }, attack, report);
    if (!outcome.convicted || outcome.honestFailures.length > 0) failed += 1;
    if (options.json) print(JSON.stringify(outcome, (_, value) => (typeof value === "bigint" ? String(value) : value)));
    else print(summary(outcome));
  }
  if (failed > 0)
    throw new Error(`${failed} of ${runs} runs did not end with the cheater convicted and everybody else clean`);
});

/** A run on a network of its own, ended and removed afterwards unless it is to be kept. */
async function once(
  options: Parameters<typeof Network.create>[0],
  attack: Attack,
  report: (line: string) => void,
): Promise<CheatOutcome> {
  await takeDemoFolder(options.dir);
  const portBase = options.flags["port-base"] ? options.portBase : await freePortBase(options.participants);
  const network = await Network.create({ ...options, portBase });
  try {
    await network.start(report);
    return await runCheat(network, attack, report);
  } finally {
    if (options.flags.keep) report(`the network keeps running: scripts/localnet/down --dir ${options.dir}`);
    else {
      await network.stop();
      rmSync(options.dir, { recursive: true, force: true });
    }
  }
}

function summary(outcome: CheatOutcome): string {
  const { attack, convicted, requests, byCheater, failedChecks, refunded, slashed, seconds } = outcome;
  return `${convicted ? "✓" : "✗"} ${attack}: ${byCheater} of ${requests} requests went to the cheater, ${failedChecks} found false, ${refunded} ukarat refunded, ${slashed} slashed, ${seconds} s`;
}

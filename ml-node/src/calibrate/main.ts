#!/usr/bin/env node
/** `node ml-node/src/calibrate/main.ts --help`: honest runs → profile, its certified statement and its plot. */
import { writeFile } from "node:fs/promises";
import { isKaratError, messageOf } from "@karat/common";
import type { Profile } from "@karat/rules";
import { loadProfile } from "../service/profile.ts";
import { calibrate } from "./calibrate.ts";
import { measureDetection } from "./detection.ts";
import { HELP, readOptions } from "./options.ts";
import { distributionPlot } from "./plot.ts";
import { openLaboratory } from "./settings.ts";
import { statementOf } from "./statement.ts";

if (process.argv.includes("--help")) {
  console.log(HELP);
} else {
  try {
    await main();
  } catch (error) {
    const details = isKaratError(error) ? { code: error.code, data: error.data } : {};
    console.error(JSON.stringify({ what: "failed", message: messageOf(error), ...details }));
    process.exitCode = 1;
  }
}

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  const base = options.extendPath === undefined ? undefined : await loadProfile(options.extendPath);
  const laboratory = await openLaboratory(options.modelPath, options.name, options.unseeded);
  try {
    const { profile, heldOut, journal, ...measured } = await calibrate(laboratory, options, base, report);
    const statement = statementOf(profile, heldOut, { ...options, ...measured, missing: laboratory.missing });
    await writeFile(options.outPath, `${JSON.stringify(profile)}\n`);
    await writeFile(options.outPath.replace(/json$/, "md"), statement.text);
    await writeFile(options.outPath.replace(/json$/, "svg"), distributionPlot(profile));
    if (!options.keepJournal) await journal.remove();
    report("statement", {
      ...profile.heldOut,
      upperBound: statement.bound,
      claim: options.claim,
      certified: statement.certified,
    });
    await detect(profile);
    if (!statement.certified) process.exitCode = 1;
  } finally {
    await laboratory.close();
  }

  async function detect(profile: Profile): Promise<void> {
    const { coding, substitutes, detectionRuns } = options;
    const { reference, substitutes: compared } = laboratory;
    for await (const found of measureDetection(reference, profile, coding, substitutes, detectionRuns, compared)) {
      report("detection", { ...found });
    }
  }
}

function report(what: string, data: Readonly<Record<string, unknown>>): void {
  console.log(JSON.stringify({ what, ...data }));
}

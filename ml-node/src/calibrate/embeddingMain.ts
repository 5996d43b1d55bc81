#!/usr/bin/env node
/** `node ml-node/src/calibrate/embeddingMain.ts --model … --profile …`: adds the part on embeddings to a profile, with a statement beside it. */
import { writeFile } from "node:fs/promises";
import { basename } from "node:path";
import { parseArgs } from "node:util";
import { isKaratError, messageOf } from "@karat/common";
import { createLlamaEngine } from "../engine/llama/llamaEngine.ts";
import { loadProfile } from "../service/profile.ts";
import { CONFIDENCE } from "./bound.ts";
import { calibrateEmbedding, type FoundSubstitute, measureSubstitute, PILOT } from "./embedding.ts";
import { openLaboratory } from "./settings.ts";
import { power } from "./statement.ts";

const USAGE =
  "usage: embeddingMain.ts --model <gguf> --profile <profile.json> [--distances 800] [--held-out 1000] [--seed 1] [--substitute <gguf> …] [--detection-runs 40]";
const MOST_RUNS = 200_000;

try {
  process.exitCode = await main();
} catch (error) {
  const details = isKaratError(error) ? { code: error.code, data: error.data } : {};
  console.error(JSON.stringify({ what: "failed", message: messageOf(error), ...details }));
  process.exitCode = 1;
}

async function main(): Promise<number> {
  const string = { type: "string" } as const;
  const { values } = parseArgs({
    options: {
      model: string,
      profile: string,
      distances: { ...string, default: "800" },
      "held-out": { ...string, default: "1000" },
      seed: { ...string, default: "1" },
      substitute: { type: "string", multiple: true },
      "detection-runs": { ...string, default: "40" },
    },
  });
  const { model, profile: path, substitute: substitutes = [] } = values;
  const numbers = [values.distances, values["held-out"], values.seed, values["detection-runs"]].map(Number);
  const [distances = 0, heldOut = 0, seed = 0, runs = 0] = numbers;
  const isUsable = numbers.every((n) => Number.isInteger(n) && n >= 1 && n <= MOST_RUNS);
  if (model === undefined || path?.endsWith(".json") !== true || !isUsable) {
    console.error(USAGE);
    return 2;
  }
  const base = await loadProfile(path);
  const laboratory = await openLaboratory(model, base.model);
  try {
    const calibrated = await calibrateEmbedding(laboratory, base, { distances, heldOut, seed });
    const { profile, bound, fails } = calibrated;
    const found: [string, FoundSubstitute][] = [];
    for (const file of substitutes) {
      const substitute = await createLlamaEngine({ modelPath: file, id: "substitute", contextSize: 1024 });
      for await (const one of measureSubstitute(laboratory.reference, substitute, profile, runs)) {
        found.push([basename(file, ".gguf"), one]);
        console.log(JSON.stringify({ what: "detection", substitute: basename(file), ...one }));
      }
      await substitute.close();
    }
    await writeFile(path, `${JSON.stringify(profile)}\n`);
    await writeFile(path.replace(/json$/, "embedding.md"), statement(calibrated, found, laboratory.missing));
    console.log(JSON.stringify({ what: "statement", runs: calibrated.runs, fails, upperBound: bound }));
    return 0;
  } finally {
    await laboratory.close();
  }
}

function statement(
  { profile, settings, fails, runs, bound }: Awaited<ReturnType<typeof calibrateEmbedding>>,
  found: readonly [string, FoundSubstitute][],
  missing: readonly { what: string; reason: string }[],
): string {
  const { dimensions, distances } = profile.embedding!;
  const rows = found.map(
    ([name, one]) =>
      `| ${name} | ${one.inputs} | ${one.runs} | ${one.detected} | ${power(one.smallest)} | ${power(one.median)} |`,
  );
  const heads = [
    "| run by | inputs of an answer | answers | failed | smallest distance | median |",
    "|---|---|---|---|---|---|",
  ];
  return `# Embeddings of ${profile.model}

Written by \`ml-node/src/calibrate/embeddingMain.ts\` on ${new Date().toISOString().slice(0, 10)}: \`embedding\` of the profile of the same name, ${distances.length} distances of one vector of ${dimensions}
components between honest executor and validator. ${fails} of ${runs} held-out answers of one vector failed at α = ${power(profile.alphaFail)}: the exact upper bound of false positives
(Clopper–Pearson, ${CONFIDENCE * 100} %) is **${power(bound)}**. The held-out texts follow from the SHA-256 of the finished part, and were tried once.

Median ${power(distances[distances.length >> 1]!)}, 99 % ${power(distances[Math.floor(0.99 * distances.length)]!)}, largest ${power(distances.at(-1)!)}. Two threads give the bits of one. Settings without distances gave the same bits
on both sides for the ${PILOT} texts of a pilot, and are not sampled: they would only make the others look rarer.

| setting | distances | largest | held out | failed |
|---|---|---|---|---|
${settings.map((row) => `| ${row.name} | ${row.distances} | ${row.distances === 0 ? "–" : power(row.largest)} | ${row.heldOut} | ${row.fails} |`).join("\n")}
${missing.map(({ what, reason }) => `\nNot covered: ${what}: ${reason}.\n`).join("")}${rows.length === 0 ? "" : `\n## Found\n\n${[...heads, ...rows].join("\n")}\n`}`;
}

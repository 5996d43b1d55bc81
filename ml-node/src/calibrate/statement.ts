/** What a calibration certifies, in words and numbers, versioned with the profile. */
import { createHash } from "node:crypto";
import { basename } from "node:path";
import { gateOf, leastP, type Profile } from "@karat/rules";
import { CONFIDENCE, runsFor, upperBound } from "./bound.ts";
import type { Row } from "./journal.ts";

export interface StatementTerms {
  /** Where the profile lies; the plot is beside it. */
  outPath: string;
  claim: number;
  seed: number;
  bytesPerToken: number;
  threadPositions: number;
  /** Settings that were not run at all. */
  missing: readonly { what: string; reason: string }[];
}

export interface Statement {
  text: string;
  /** Upper confidence bound of the false-positive rate. */
  bound: number;
  certified: boolean;
}

export function statementOf(profile: Profile, heldOut: readonly Row[], terms: StatementTerms): Statement {
  const { runs, fails } = profile.heldOut;
  const bound = upperBound(fails, runs);
  const certified = bound <= terms.claim;
  // Which is measured apart, and may be added later.
  const { embedding: _, ...measured } = profile;
  const digest = createHash("sha256")
    .update(`${JSON.stringify(measured)}\n`)
    .digest("hex");
  const bySetting = Map.groupBy(heldOut, ({ setting }) => setting);
  const names = [...new Set([...profile.settings.map(({ name }) => name), ...bySetting.keys()])];
  const settingRows = names.map((name) => {
    const own = bySetting.get(name) ?? [];
    const failed = own.filter(({ verdict }) => verdict === "fail").length;
    const atOne = own.filter(({ p }) => p !== undefined && p <= 0.01).length;
    const calibrated = profile.settings.find((setting) => setting.name === name)?.runs ?? 0;
    return `| ${name} | ${calibrated} | ${own.length} | ${atOne} | ${failed} |`;
  });
  const bucketRows = profile.buckets.map(({ from, to, distance }) => {
    const own = heldOut.filter(({ length }) => length >= from && (to === null || length <= to));
    const failed = own.filter(({ verdict }) => verdict === "fail").length;
    return `| ${to === null ? `${from} and more` : `${from}–${to}`} | ${distance.length} | ${power(4 * leastP(distance))} | ${own.length} | ${failed} |`;
  });
  const failures = heldOut
    .filter(({ verdict }) => verdict === "fail")
    .map(
      ({ setting, length, reason, p, pDistance, pSampling }) =>
        `- ${setting}, ${length} tokens: ${reason}, p = ${power(p ?? 0)} (distance ${power(pDistance ?? 1)}, sampling ${power(pSampling ?? 1)})`,
    );
  const outside = [...profile.excluded, ...terms.missing].map(({ what, reason }) => `- ${what}: ${reason}.`);
  const text = `# Calibration of ${profile.model}

Written by \`ml-node/src/calibrate/main.ts\` on ${new Date().toISOString().slice(0, 10)} with the profile of the same name (version ${profile.version}, SHA-256 without its part on embeddings \`${digest}\`).

**${certified ? "Certified" : "Not certified"}: false positives ≤ ${power(terms.claim)}.** ${fails} of ${runs} held-out honest runs failed at α = ${power(profile.alphaFail)}; the exact upper bound
(Clopper–Pearson, ${CONFIDENCE * 100} %) is **${power(bound)}**${certified ? "" : `: a claim of ${power(terms.claim)} needs ${runsFor(terms.claim)} runs without a failure`}.

| | |
|---|---|
| weights (SHA-256) | \`${profile.weightsSha256}\` |
| quantisation, KV cache | ${profile.quantization}, ${profile.kvCache} |
| engine | ${profile.engine} |
| record | ${profile.k} values a position, step ${profile.step}: ${terms.bytesPerToken.toFixed(2)} bytes a token |
| σ of a recorded value | ${profile.sigmaH} nat |
| σ of a logit; gate of G | ${profile.sigmaLogit}; ${gateOf(profile.sigmaLogit).toPrecision(3)} nat |
| tokens | ${tokensOf(profile)} |

The held-out requests follow from the SHA-256 of the finished profile (thresholds, α and all): nobody could have seen them while anything was
still to be chosen. They were tried once.

## Covered

Executor and validator differ as named; the executor decodes token by token, the validator does one prefill. Prompts, temperatures (0 to 1.2), top-p, top-k,
min-p and penalties as in \`workload.ts\`, lengths 1 to 300, a fifth of the texts behind
prompts of one to six hundred tokens. Threads are no axis: two gave the same bits as one at ${terms.threadPositions} of ${terms.threadPositions} positions.

| setting | calibration runs | held out | p ≤ 1 % | failed |
|---|---|---|---|---|
${settingRows.join("\n")}

${failures.length === 0 ? "No held-out run failed." : `What failed:\n\n${failures.join("\n")}`}

## By length

The smallest p that distance can reach must be below α, or nothing of that length could fail.

| tokens | calibration runs | smallest p of distance | held out | failed |
|---|---|---|---|---|
${bucketRows.join("\n")}

## Not covered

${outside.length === 0 ? "Nothing that was tried." : outside.join("\n")}

![Scores of honest runs and the thresholds](${basename(terms.outPath, ".json")}.svg)
`;
  return { text, bound, certified };
}

function tokensOf({ unseeded }: Profile): string {
  if (unseeded === undefined) return "bound to the seed (G)";
  const runs = unseeded.buckets.reduce((sum, { scores }) => sum + scores.length, 0);
  const names = unseeded.substitutes.map(({ name }) => name).join(", ");
  return `chosen by the executor: likelihood against ${names} and other temperatures, ${runs} runs`;
}

/** 0.00063 → "6.3·10⁻⁴". */
export function power(value: number): string {
  if (value === 0) return "0";
  if (value >= 0.1) return value.toPrecision(2);
  const [digits = "", exponent = ""] = value.toExponential(1).split("e-");
  const raised = [...exponent].map((digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(digit)] ?? "").join("");
  return `${digits === "1.0" ? "" : `${digits.replace(/\.0$/, "")}·`}10⁻${raised}`;
}

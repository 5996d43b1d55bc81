/** `node sidecar/src/verifyMain.ts --rpc … --ml … [--api …] [--plot out.svg] [--json] <inference id>`; exit code 3 for a failed check. */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { isKaratError } from "@karat/common";
import { type CheckedPosition, type Verification, verifyInference } from "./verify.ts";
import { plotOf } from "./verifyPlot.ts";

const USAGE =
  "usage: verify --rpc <CometBFT RPC> --ml <ML node> [--ml-token …] [--api <admin port of an API node>] [--api-token …] [--plot <file.svg>] [--json] <inference id>";
/** The positions that say most are shown; --json has all. */
const SHOWN = 20;

try {
  process.exitCode = await main();
} catch (error) {
  if (!isKaratError(error)) throw error;
  process.stderr.write(`${error.code}: ${error.message}\n`);
  process.exitCode = 1;
}

async function main(): Promise<number> {
  const string = { type: "string" } as const;
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      rpc: string,
      ml: string,
      "ml-token": string,
      api: string,
      "api-token": string,
      plot: string,
      json: { type: "boolean" },
    },
  });
  const { rpc, ml, api, plot, json } = values;
  const [id] = positionals;
  if (rpc === undefined || ml === undefined || id === undefined) {
    process.stderr.write(`${USAGE}\n`);
    return 2;
  }
  const found = await verifyInference(id, {
    rpc,
    ml,
    ...(api !== undefined && { api }),
    ...(values["ml-token"] !== undefined && { mlToken: values["ml-token"] }),
    ...(values["api-token"] !== undefined && { apiToken: values["api-token"] }),
  });
  process.stdout.write(json ? `${JSON.stringify(found)}\n` : `${textOf(found)}\n`);
  if (plot !== undefined) {
    writeFileSync(plot, plotOf(found));
    process.stderr.write(`${plot}\n`);
  }
  return found.verdict === "fail" ? 3 : 0;
}

function textOf(found: Verification): string {
  const { inferenceId, model, executor, tokens, verdict, reason, pBucket, onChain } = found;
  return [
    `inference  ${inferenceId}`,
    `model      ${model}, ${tokens} tokens, executor ${executor}`,
    `verdict    ${verdict} (${reason}), p ≤ 2^-${pBucket}`,
    ...onChain.map((given) => `on chain   ${given.validator}: ${given.verdict}`),
    ...positionLines(found),
    ...distanceLines(found),
  ].join("\n");
}

/** Of an embedding. */
function distanceLines({ distances, statistics }: Verification): string[] {
  if (distances.length === 0) return [];
  const number = (name: string): string => (statistics[name] ?? Number.NaN).toPrecision(3);
  const farthest = [...distances.entries()].sort(([, a], [, b]) => b - a).slice(0, SHOWN);
  return [
    `distance   mean ${number("distance")}, largest ${number("distancePeak")}; largest honest one ${number("honestPeak")}; p ${number("p")}`,
    "",
    `the ${farthest.length} farthest of ${distances.length} vectors:`,
    "input  distance",
    ...farthest.map(([at, distance]) => `${String(at).padStart(5)}  ${distance.toPrecision(3)}`),
  ];
}

function positionLines({ statistics, positions }: Verification): string[] {
  if (positions.length === 0) return [];
  const number = (name: string): string => (statistics[name] ?? Number.NaN).toPrecision(3);
  const telling = positions
    .map((position, at) => ({ ...position, at }))
    .sort((a, b) => weightOf(b, statistics) - weightOf(a, statistics))
    .slice(0, SHOWN)
    .sort((a, b) => a.at - b.at);
  return [
    `distance   mean ${number("distance")}, largest window ${number("distanceScan")}, σ ${number("sigma")} nats; p ${number("pDistance")}`,
    statistics.likelihoodScore === undefined
      ? `sampling   ${statistics.flips} tokens not the demanded ones, ${statistics.gatedMargins} beyond the gate of ${number("gate")} nats; p ${number("pSampling")}`
      : `drawn      likelihood of other models and temperatures e^${number("likelihoodScore")} times the model's, S ${number("surprisalZ")}; p ${number("pSampling")}`,
    "",
    `the ${telling.length} most telling of ${positions.length} positions:`,
    " pos  token                 demanded              margin    spread",
    ...telling.map(({ at, token, demanded_token, margin, spread }) =>
      [
        String(at).padStart(4),
        named(token),
        margin > 0 ? named(demanded_token) : "=".padEnd(20),
        margin.toFixed(4).padStart(8),
        spread?.toFixed(4).padStart(8) ?? "–".padStart(8),
      ].join("  "),
    ),
  ];
}

function named(token: string): string {
  return JSON.stringify(token).slice(0, 20).padEnd(20);
}

function weightOf({ margin, spread }: CheckedPosition, { gate = 1, sigma = 1 }: Verification["statistics"]): number {
  return Math.max(margin / gate, (spread ?? 0) / (5 * sigma));
}

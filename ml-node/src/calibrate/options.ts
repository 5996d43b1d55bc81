/** Flags of the calibrator. */
import { basename, extname, join } from "node:path";
import { parseArgs } from "node:util";
import { KaratError } from "@karat/common";
import { ARTIFACT_STEPS, type ArtifactCoding, MAX_ALTERNATIVES } from "@karat/rules";
import { CONFIDENCE, runsFor } from "./bound.ts";

export interface CalibrationOptions {
  modelPath: string;
  name: string;
  /** The profile; statement and plot are written beside it. */
  outPath: string;
  extendPath?: string;
  runs: number;
  heldOut: number;
  alphaFail: number;
  claim: number;
  minPositions: number;
  coding: ArtifactCoding;
  seed: number;
  lanes: number;
  journalPath: string;
  keepJournal: boolean;
  /** GGUF files that an unseeded profile names. */
  unseeded: readonly string[];
  substitutes: readonly string[];
  detectionRuns: number;
}

/** [flag, default, meaning]. */
const FLAGS = {
  model: [undefined, "GGUF file to calibrate (needed)"],
  out: [undefined, "profile to write, *.json; the statement (*.md) and the plot (*.svg) go beside it (needed)"],
  name: [undefined, "id that the model is declared by (default: file name)"],
  extend: [undefined, "profile whose runs and sigmas are kept and added to; may be the same file as --out"],
  runs: ["6400", "honest runs to collect; with --extend also 0"],
  "held-out": ["4750", "fresh honest runs that the finished profile is tried on, once"],
  alpha: ["0.0005", "p-value at which a check fails"],
  claim: ["0.001", "false-positive rate that is to be certified; refused where --held-out cannot carry it"],
  "min-positions": ["8", "shorter outputs are abstained from"],
  step: ["1/128", `nats per unit of the record: ${ARTIFACT_STEPS.join(", ")}`],
  k: ["5", "log-probabilities recorded at each position"],
  seed: ["1", "of the calibration's requests; those held out follow from the finished profile"],
  lanes: ["1", "settings that are worked on at the same time"],
  journal: [
    undefined,
    "runs as they are made; an interrupted calibration goes on from there (default: <out>.journal.jsonl)",
  ],
  "keep-journal": [undefined, "leave the journal there when done"],
  unseeded: [
    undefined,
    "GGUF file of a model that a cheat would run instead; may be repeated. Makes a profile for executors that choose tokens by themselves",
  ],
  substitute: [undefined, "GGUF file whose detection is measured afterwards; may be repeated"],
  "detection-runs": ["100", "runs of each substitute and length"],
} as const;

export const HELP = [
  "node ml-node/src/calibrate/main.ts --model <gguf> --out <profile.json> [--flag value …]",
  "",
  "Collects honest runs over the numerical settings that nodes differ in, writes the profile that verdicts are measured against, tries it on",
  "held-out runs, and states the false-positive rate that they certify. A few milliseconds a token; --journal lets it be interrupted.",
  "",
  ...Object.entries(FLAGS).map(
    ([flag, [otherwise, meaning]]) =>
      `  --${flag.padEnd(15)} ${meaning}${otherwise === undefined ? "" : ` (default ${otherwise})`}`,
  ),
].join("\n");

const MAX_RUNS = 200_000;

/** Throws KaratError `invalid_config` {option}, and `sample_too_small` {claim, runs_needed} for a claim that no outcome could carry. */
export function readOptions(args: readonly string[]): CalibrationOptions {
  const values = parse(args);
  const text = (flag: keyof typeof FLAGS): string | undefined => {
    const value = values[flag];
    return typeof value === "string" ? value : undefined;
  };
  const needed = (flag: keyof typeof FLAGS): string => text(flag) ?? fail(flag, "is needed");
  const whole = (flag: keyof typeof FLAGS, least: number, most: number): number => {
    const value = Number(text(flag) ?? FLAGS[flag][0]);
    return Number.isInteger(value) && value >= least && value <= most
      ? value
      : fail(flag, `must be a whole number from ${least} to ${most}`);
  };
  const rate = (flag: "alpha" | "claim"): number => {
    const value = Number(text(flag) ?? FLAGS[flag][0]);
    return value > 0 && value < 0.5 ? value : fail(flag, "must be between 0 and 0.5");
  };
  const modelPath = needed("model");
  const outPath = needed("out");
  if (extname(outPath) !== ".json") fail("out", "must end in .json");
  const extendPath = text("extend");
  const heldOut = whole("held-out", 1, MAX_RUNS);
  const claim = rate("claim");
  if (heldOut < runsFor(claim)) {
    throw new KaratError(
      "sample_too_small",
      `${heldOut} held-out runs cannot certify ${claim} at ${CONFIDENCE * 100} %, even without a failure: hold out ${runsFor(claim)} or claim less`,
      { claim, runs_needed: runsFor(claim) },
    );
  }
  const step = ARTIFACT_STEPS.find((known) => known === (text("step") ?? FLAGS.step[0]));
  const list = (flag: "substitute" | "unseeded"): string[] => {
    const given = values[flag];
    return Array.isArray(given) ? given.filter((value) => typeof value === "string") : [];
  };
  return {
    modelPath,
    name: text("name") ?? basename(modelPath, ".gguf"),
    outPath,
    ...(extendPath === undefined ? {} : { extendPath }),
    runs: whole("runs", extendPath === undefined ? 1 : 0, MAX_RUNS),
    heldOut,
    alphaFail: rate("alpha"),
    claim,
    minPositions: whole("min-positions", 1, 1_000),
    coding: {
      step: step ?? fail("step", `must be one of ${ARTIFACT_STEPS.join(", ")}`),
      k: whole("k", 1, MAX_ALTERNATIVES),
    },
    seed: whole("seed", 1, 1_000_000),
    lanes: whole("lanes", 1, 16),
    journalPath: text("journal") ?? join(`${outPath.slice(0, -".json".length)}.journal.jsonl`),
    keepJournal: values["keep-journal"] === true,
    unseeded: list("unseeded"),
    substitutes: list("substitute"),
    detectionRuns: whole("detection-runs", 1, 10_000),
  };
}

function parse(args: readonly string[]): Readonly<Record<string, unknown>> {
  const string = { type: "string" } as const;
  try {
    return parseArgs({
      args: [...args],
      strict: true,
      options: {
        ...Object.fromEntries(Object.keys(FLAGS).map((flag) => [flag, string])),
        substitute: { type: "string", multiple: true },
        unseeded: { type: "string", multiple: true },
        "keep-journal": { type: "boolean" },
      },
    }).values;
  } catch (cause) {
    throw new KaratError("invalid_config", "unknown or incomplete flag; --help lists them", { option: null }, cause);
  }
}

function fail(option: string, problem: string): never {
  throw new KaratError("invalid_config", `--${option} ${problem}`, { option });
}

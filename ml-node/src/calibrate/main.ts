#!/usr/bin/env node
/**
 * `node ml-node/src/calibrate/main.ts --model <gguf> --out <profile.json> [--runs N] [--held-out N] [--substitute <gguf> …]`: collects
 * honest runs, writes the profile, and reports false positives on held-out runs and detection of the substitutes. With --reuse the
 * profile at --out is kept and only tried again, as after a change of the rules.
 */
import { writeFile } from "node:fs/promises";
import { basename } from "node:path";
import { parseArgs } from "node:util";
import { ARTIFACT_STEPS, type ArtifactCoding, MAX_ALTERNATIVES, type Profile } from "@karat/rules";
import { loadProfile } from "../service/profile.ts";
import { measureDetection } from "./detection.ts";
import { runWorkload } from "./runs.ts";
import {
  buildProfile,
  type Evidence,
  estimateLogitSigma,
  estimateSigma,
  evidenceOf,
  type HonestScores,
  honestScores,
  judge,
} from "./scores.ts";
import { type Laboratory, openLaboratory } from "./settings.ts";
import { workload } from "./workload.ts";

const PILOT_RUNS = 240;

const { values } = parseArgs({
  options: {
    model: { type: "string" },
    name: { type: "string" },
    out: { type: "string" },
    runs: { type: "string", default: "3000" },
    "held-out": { type: "string" },
    alpha: { type: "string", default: "0.001" },
    "min-positions": { type: "string", default: "8" },
    step: { type: "string", default: "1/128" },
    k: { type: "string", default: "5" },
    seed: { type: "string", default: "1" },
    substitute: { type: "string", multiple: true, default: [] },
    "detection-runs": { type: "string", default: "100" },
    reuse: { type: "boolean", default: false },
  },
});

const modelPath = required("model");
const outPath = required("out");
const runs = positive("runs");
const heldOut = values["held-out"] === undefined ? runs : positive("held-out");
const seed = positive("seed");
const k = positive("k");
const step = ARTIFACT_STEPS.find((known) => known === values.step);
if (!step) throw new Error(`--step must be one of ${ARTIFACT_STEPS.join(", ")}`);
if (k > MAX_ALTERNATIVES) throw new Error(`--k must be at most ${MAX_ALTERNATIVES}`);
const coding: ArtifactCoding = { step, k };

const laboratory = await openLaboratory(modelPath, values.name ?? basename(modelPath, ".gguf"));
try {
  await calibrate(laboratory);
} finally {
  await laboratory.close();
}

async function calibrate({ reference, settings }: Laboratory): Promise<void> {
  const draft = values.reuse ? await loadProfile(outPath) : await collectProfile();
  if (draft.step !== coding.step || draft.k !== coding.k)
    throw new Error("--step and --k must be those of the profile");
  const stopTokenIds = new Set(reference.vocabulary.stopTokenIds);
  const perSetting = new Map(settings.map(({ name }) => [name, { runs: 0, fails: 0, atOnePercent: 0 }]));
  for await (const { evidence, setting } of honestRuns(seed + 1, heldOut)) {
    const count = perSetting.get(setting)!;
    const score = judge(draft, evidence, stopTokenIds);
    count.runs++;
    if (score.verdict === "fail") count.fails++;
    if (score.p <= 0.01) count.atOnePercent++;
  }
  const total = [...perSetting.values()].reduce(
    (sum, { runs, fails }) => ({ runs: sum.runs + runs, fails: sum.fails + fails }),
    {
      runs: 0,
      fails: 0,
    },
  );
  report("held-out", { ...total, perSetting: Object.fromEntries(perSetting) });
  const profile: Profile = { ...draft, heldOut: total };
  await save(profile);

  for await (const detection of measureDetection(
    reference,
    profile,
    coding,
    values.substitute,
    positive("detection-runs"),
  )) {
    report("detection", { ...detection });
  }

  async function collectProfile(): Promise<Profile> {
    const pilot: (Evidence & { setting: string })[] = [];
    for await (const { evidence, setting } of honestRuns(seed + 1_000, PILOT_RUNS))
      pilot.push({ ...evidence, setting });
    const sigmas = { sigmaH: estimateSigma(pilot), sigmaLogit: estimateLogitSigma(pilot, k) };

    const scores: HonestScores[] = [];
    let tokens = 0;
    let bytes = 0;
    for await (const { evidence } of honestRuns(seed, runs)) {
      scores.push(honestScores(evidence, sigmas));
      tokens += evidence.artifact.length;
      bytes += evidence.artifactBytes.length;
    }
    const limits = { alphaFail: Number(values.alpha), minPositions: positive("min-positions") };
    const draft = buildProfile(reference.info(), coding, sigmas, limits, scores);
    await save(draft);
    report("profile", {
      sigmaH: draft.sigmaH,
      sigmaLogit: draft.sigmaLogit,
      runs: scores.length,
      perBucket: draft.buckets.map((bucket) => bucket.distance.length),
      tokens,
      artifactBytesPerToken: bytes / tokens,
    });
    return draft;
  }

  /** The workload spread evenly over the settings. */
  async function* honestRuns(from: number, count: number): AsyncGenerator<{ evidence: Evidence; setting: string }> {
    for (const [index, setting] of settings.entries()) {
      const share = Math.ceil(count / settings.length);
      for await (const run of runWorkload(setting, workload(from * 100 + index), share, coding.k)) {
        yield { evidence: evidenceOf(run, coding, reference.vocabulary.size), setting: setting.name };
      }
    }
  }
}

async function save(profile: Profile): Promise<void> {
  await writeFile(outPath, `${JSON.stringify(profile)}\n`);
}

function report(what: string, data: Record<string, unknown>): void {
  console.log(JSON.stringify({ what, ...data }));
}

function required(name: "model" | "out"): string {
  const value = values[name];
  if (value === undefined) throw new Error(`--${name} is needed`);
  return value;
}

function positive(name: "runs" | "held-out" | "seed" | "k" | "min-positions" | "detection-runs"): number {
  const value = Number(values[name]);
  if (!Number.isInteger(value) || value < 1) throw new Error(`--${name} must be a positive integer`);
  return value;
}

/** Pilot → sigmas → calibration → profile → held-out runs. Everything about the profile is fixed before the first held-out run exists. */
import { createHash } from "node:crypto";
import { KaratError } from "@karat/common";
import { leastP, type Profile } from "@karat/rules";
import type { InferenceEngine } from "../engine/engine.ts";
import { collectRuns } from "./collect.ts";
import { Journal, type Row } from "./journal.ts";
import type { CalibrationOptions } from "./options.ts";
import {
  buildProfile,
  estimateSigmas,
  evidenceOf,
  extendProfile,
  honestScores,
  judge,
  type ProfileTerms,
  type Sigmas,
  spreadsOf,
} from "./scores.ts";
import { EXCLUDED, type Laboratory } from "./settings.ts";
import { TRAFFIC_SHARES } from "./workload.ts";

const PILOT_RUNS = 120;
const THREAD_TEXTS = [
  "Return a string containing the name of the file.",
  "The following options are available: see also the manual page of the command.",
  "What does os.path.join() do? Join one or more path components intelligently.",
];
const LONG_PROMPTS = 0.2;
/** A report after so many runs. */
const PROGRESS_EVERY = 100;
/** p = 2·min(2·min(mean, scan), sampling): the factor on the p-value of one statistic of D. */
const D_FACTOR = 4;

export interface Calibrated {
  profile: Profile;
  heldOut: readonly Row[];
  bytesPerToken: number;
  /** Positions that two threads gave the same bits as one. */
  threadPositions: number;
  journal: Journal;
}

/** Throws `too_few_runs` {from, runs, runs_needed} where some length has so few honest runs that nothing could fail there. */
export async function calibrate(
  { reference, settings, substitutes, openThreaded }: Laboratory,
  options: CalibrationOptions,
  base: Profile | undefined,
  report: (what: string, data: Readonly<Record<string, unknown>>) => void,
): Promise<Calibrated> {
  const { coding, seed, lanes, alphaFail, minPositions } = options;
  const info = reference.info();
  if (base) checkBase(base, info.weightsSha256, coding);
  const journal = await Journal.open(options.journalPath, {
    weights: info.weightsSha256,
    engine: info.build,
    ...coding,
    seed,
    runs: options.runs,
    heldOut: options.heldOut,
    alphaFail,
    minPositions,
    base: base ? seedOf(base) : null,
    unseeded: substitutes.map((engine) => engine.info().weightsSha256),
  });
  const size = reference.vocabulary.size;
  const stopTokenIds = new Set(reference.vocabulary.stopTokenIds);
  const common = { lanes, recordTop: coding.k, requests: { longPrompts: LONG_PROMPTS } };
  const progress = (phase: string) => (done: number) => {
    if (done % PROGRESS_EVERY === 0) report("progress", { phase, done });
  };

  const threadPositions = await checkThreads(reference, openThreaded);
  report("threads", { equalPositions: threadPositions });
  const sigmas = base ?? (await estimate());
  report("sigmas", { sigmaH: sigmas.sigmaH, sigmaLogit: sigmas.sigmaLogit });
  const rows = await collectRuns(settings, journal, {
    ...common,
    phase: "calibration",
    runs: options.runs,
    seed: seed * 100,
    onProgress: progress("calibration"),
    rowOf: (run) => {
      const evidence = evidenceOf(run, coding, size);
      const scores = honestScores(evidence, sigmas);
      const dry = base ? judge({ ...base, alphaFail }, evidence, stopTokenIds) : undefined;
      const seen = dry && {
        verdict: dry.verdict,
        reason: dry.reason,
        p: dry.p,
        pDistance: dry.pDistance,
        pSampling: dry.pSampling,
      };
      return { ...scores, bytes: evidence.artifactBytes.length, ...seen };
    },
  });
  const terms: ProfileTerms = {
    coding,
    sigmas,
    alphaFail,
    minPositions,
    kvCache: "f16",
    settings: [...Map.groupBy(rows, ({ setting }) => setting)].map(([name, own]) => ({ name, runs: own.length })),
    excluded: EXCLUDED,
    substitutes: substitutes.map((engine) => engine.info()),
  };
  const draft = base ? extendProfile(base, terms, rows) : buildProfile(info, terms, rows);
  checkReach(draft);
  report("profile", { perBucket: draft.buckets.map(({ distance }) => distance.length), seed: seedOf(draft) });

  const heldOut = await collectRuns(settings, journal, {
    ...common,
    phase: "held-out",
    runs: options.heldOut,
    seed: seedOf(draft),
    requests: { ...common.requests, lengthShares: TRAFFIC_SHARES },
    onProgress: progress("held-out"),
    rowOf: (run) => {
      const evidence = evidenceOf(run, coding, size);
      const { verdict, reason, p, pDistance, pSampling, distance, sampling } = judge(draft, evidence, stopTokenIds);
      const scores = { distance: distance.mean, scan: distance.scan, gumbel: sampling.score };
      const length = run.answer.tokenIds.length;
      return { length, bytes: evidence.artifactBytes.length, ...scores, verdict, reason, p, pDistance, pSampling };
    },
  });
  const fails = heldOut.filter(({ verdict }) => verdict === "fail").length;
  const all = [...rows, ...heldOut];
  const tokens = all.reduce((sum, { length }) => sum + length, 0);
  return {
    profile: { ...draft, heldOut: { runs: heldOut.length, fails } },
    heldOut,
    threadPositions,
    bytesPerToken: all.reduce((sum, { bytes }) => sum + bytes, 0) / Math.max(1, tokens),
    journal,
  };

  async function estimate(): Promise<Sigmas> {
    const pilot = await collectRuns(settings, journal, {
      ...common,
      phase: "pilot",
      runs: PILOT_RUNS,
      seed: (seed + 1_000) * 100,
      rowOf: (run, setting) => {
        const evidence = evidenceOf(run, coding, size);
        const { recorded, exact } = spreadsOf(evidence, setting, coding.k);
        const spreads = { distance: recorded ?? 0, scan: exact ?? 0, gumbel: 0 };
        return { length: run.answer.tokenIds.length, bytes: evidence.artifactBytes.length, ...spreads };
      },
    });
    const known = pilot.filter(({ distance }) => distance > 0);
    return estimateSigmas(known.map(({ setting, distance, scan }) => ({ setting, recorded: distance, exact: scan })));
  }
}

/**
 * Seed of the held-out workload: from the profile itself, so that nobody can know the requests while there is still something to
 * choose, and another draw needs another profile.
 */
export function seedOf(profile: Profile): number {
  const fixed = JSON.stringify({ ...profile, heldOut: null });
  return createHash("sha256").update(fixed).digest().readUInt32BE();
}

/**
 * How many positions two threads gave the same bits as one; throws `threads_differ` where they do not. Compared and not sampled: a small
 * model on a busy machine takes a hundred times as long on two threads.
 */
async function checkThreads(one: InferenceEngine, open: Laboratory["openThreaded"]): Promise<number> {
  const two = await open();
  try {
    let positions = 0;
    for (const text of THREAD_TEXTS) {
      const [first = 0, ...rest] = await one.render({ prompt: text });
      const job = { promptIds: [first], outputIds: rest, top: 20 };
      const [a, b] = [await one.score(job), await two.score(job)];
      if (JSON.stringify(a) !== JSON.stringify(b)) {
        throw new KaratError("threads_differ", "two threads give other numbers than one: calibrate them as a setting", {
          text,
        });
      }
      positions += rest.length;
    }
    return positions;
  } finally {
    await two.close();
  }
}

function checkBase(base: Profile, weightsSha256: string, { step, k }: CalibrationOptions["coding"]): void {
  if (base.weightsSha256 === weightsSha256 && base.step === step && base.k === k) return;
  throw new KaratError("profile_of_another_model", "only a profile of the same weights, step and k can be extended", {
    model: base.model,
    step: base.step,
    k: base.k,
  });
}

function checkReach({ buckets, alphaFail }: Profile): void {
  for (const { from, distance } of buckets) {
    if (distance.length > 0 && D_FACTOR * leastP(distance) <= alphaFail) continue;
    throw new KaratError(
      "too_few_runs",
      "with so few honest runs of a length nothing could fail: collect more, or raise --alpha",
      {
        from,
        runs: distance.length,
        runs_needed: Math.ceil(D_FACTOR / (10 * alphaFail)),
      },
    );
  }
}

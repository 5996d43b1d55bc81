/** Honest distances → the profile's part on embeddings → held-out answers. Nothing is left to choose when the first of those exists. */
import { createHash } from "node:crypto";
import { KaratError } from "@karat/common";
import { leastP, type Profile, scoreEmbedding } from "@karat/rules";
import { collect } from "../collect.ts";
import type { InferenceEngine } from "../engine/engine.ts";
import { upperBound } from "./bound.ts";
import { distanceOf, embedBoth, texts } from "./distances.ts";
import type { Setting } from "./runs.ts";
import type { Laboratory } from "./settings.ts";

/** Texts by which a setting is known to give the same bits on both sides: then it is no axis of noise, and not sampled. */
export const PILOT = 12;
/** Digits of a distance: more are noise of their own. */
const DIGITS = 4;
const FOUND_COUNTS = [1, 4, 16] as const;

export interface EmbeddingOptions {
  readonly distances: number;
  readonly heldOut: number;
  readonly seed: number;
}

export interface SettingCount {
  readonly name: string;
  readonly distances: number;
  readonly largest: number;
  readonly heldOut: number;
  readonly fails: number;
}

export interface CalibratedEmbedding {
  readonly profile: Profile;
  readonly settings: readonly SettingCount[];
  readonly fails: number;
  readonly runs: number;
  /** Upper confidence bound of the false-positive rate. */
  readonly bound: number;
}

/** Throws `profile_of_another_model`, and `too_few_runs` {runs, runs_needed} for so few distances that nothing could fail. */
export async function calibrateEmbedding(
  { reference, settings, openThreaded }: Pick<Laboratory, "reference" | "settings" | "openThreaded">,
  base: Profile,
  { distances: count, heldOut, seed }: EmbeddingOptions,
): Promise<CalibratedEmbedding> {
  const { weightsSha256, embeddingDimensions: dimensions } = reference.info();
  if (base.weightsSha256 !== weightsSha256 || dimensions === undefined) {
    throw new KaratError("profile_of_another_model", "the profile is of other weights, or the model gives no vectors", {
      model: base.model,
    });
  }
  await checkThreads(reference, openThreaded);
  const noisy: Setting[] = [];
  const found = new Map<string, number[]>();
  for (const setting of settings) {
    const pilot = await distancesOf(setting, seed * 100 + 99, PILOT);
    found.set(setting.name, []);
    if (pilot.some((distance) => distance > 0)) noisy.push(setting);
  }
  for (const [i, setting] of noisy.entries()) {
    found.set(setting.name, await distancesOf(setting, seed * 100 + i, shareOf(setting, noisy, count)));
  }
  const distances = [...found.values()].flat().map(rounded);
  const draft: Profile = { ...base, embedding: { dimensions, distances: distances.sort((a, b) => a - b) } };
  if (distances.length === 0 || leastP(distances) > base.alphaFail) {
    throw new KaratError("too_few_runs", "with so few distances nothing could fail: measure more", {
      runs: distances.length,
      runs_needed: Math.ceil(1 / (10 * base.alphaFail)),
    });
  }
  const rows: SettingCount[] = [];
  for (const setting of settings) {
    const own = found.get(setting.name) ?? [];
    const runs = noisy.includes(setting) ? shareOf(setting, noisy, heldOut) : 0;
    const fails = await failsOf(setting, draft, embeddingSeed(draft) + rows.length, runs);
    rows.push({ name: setting.name, distances: own.length, largest: Math.max(0, ...own), heldOut: runs, fails });
  }
  const fails = rows.reduce((sum, row) => sum + row.fails, 0);
  const runs = rows.reduce((sum, row) => sum + row.heldOut, 0);
  return { profile: draft, settings: rows, fails, runs, bound: upperBound(fails, runs) };
}

/** From the finished part itself: nobody can know the texts while there is still something to choose. */
const embeddingSeed = ({ embedding }: Profile): number =>
  createHash("sha256").update(JSON.stringify(embedding)).digest().readUInt32BE();

export interface FoundSubstitute {
  readonly inputs: number;
  readonly runs: number;
  readonly detected: number;
  /** Of one vector. */
  readonly smallest: number;
  readonly median: number;
}

/** How often a substitute's vectors fail, by the number of inputs; one of another size fails by its bytes, and is not measured. */
export async function* measureSubstitute(
  declared: InferenceEngine,
  substitute: InferenceEngine,
  profile: Profile,
  runs: number,
): AsyncGenerator<FoundSubstitute> {
  const setting = { executor: substitute, validator: declared, concurrency: 4 };
  for (const inputs of FOUND_COUNTS) {
    const supply = texts(900 + inputs);
    const all: number[] = [];
    let detected = 0;
    for (let run = 0; run < runs; run++) {
      const pairs = await collect(embedBoth(setting, supply, inputs));
      all.push(...pairs.map(distanceOf));
      if (verdictOf(profile, pairs) === "fail") detected++;
    }
    all.sort((a, b) => a - b);
    yield { inputs, runs, detected, smallest: all[0]!, median: all[all.length >> 1]! };
  }
}

const verdictOf = (profile: Profile, pairs: readonly { recorded: Float32Array; own: Float32Array }[]) =>
  scoreEmbedding(
    profile,
    pairs.map(({ recorded }) => recorded),
    pairs.map(({ own }) => own),
  ).verdict;

const distancesOf = async (setting: Setting, seed: number, count: number): Promise<number[]> =>
  (await collect(embedBoth(setting, texts(seed), count))).map(distanceOf);

/** Answers of one vector: of more, the bar is higher for each. */
async function failsOf(setting: Setting, profile: Profile, seed: number, runs: number): Promise<number> {
  let fails = 0;
  for await (const pair of embedBoth(setting, texts(seed), runs)) if (verdictOf(profile, [pair]) === "fail") fails++;
  return fails;
}

function shareOf({ share = 1 }: Setting, among: readonly Setting[], count: number): number {
  const shares = among.reduce((sum, { share: other = 1 }) => sum + other, 0);
  return Math.ceil((count * share) / shares);
}

const rounded = (distance: number): number => Number(distance.toPrecision(DIGITS));

/** Throws `threads_differ` where two threads give other bits than one. */
async function checkThreads(one: InferenceEngine, open: Laboratory["openThreaded"]): Promise<void> {
  const two = await open();
  try {
    const distances = await distancesOf({ name: "threads", executor: two, validator: one, concurrency: 1 }, 1, PILOT);
    if (distances.every((distance) => distance === 0)) return;
    throw new KaratError("threads_differ", "two threads give other numbers than one: calibrate them as a setting");
  } finally {
    await two.close();
  }
}

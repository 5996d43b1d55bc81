import { describe, expect, test } from "vitest";
import {
  DEFAULT_SAMPLING,
  domainHash,
  type GumbelStatistics,
  gumbelCheck,
  inspectPositions,
  type Profile,
  positionValues,
  type ScoreInput,
  sample,
  scoreInference,
  type TokenLogit,
} from "../index.ts";

/** A small reproducible language model: logits of position i by hash, noise of a given size added. */
function logitsAt(model: string, position: number, noise: number, run: number): TokenLogit[] {
  const next = generator(position * 7_919 + run * 104_729);
  const raw = modelLogits(model, position).map((logit, id) => {
    const gauss = (next() + next() + next() + next() - 2) * Math.sqrt(3);
    return [id, logit + noise * gauss] as const;
  });
  const z = Math.log(raw.reduce((sum, [, l]) => sum + Math.exp(l), 0));
  return raw.map(([id, l]) => [id, l - z] as const);
}

const known = new Map<string, readonly number[]>();

function modelLogits(model: string, position: number): readonly number[] {
  const key = `${model} ${position}`;
  const logits =
    known.get(key) ??
    Array.from({ length: 80 }, (_, id) => (domainHash(model, BigInt(position), BigInt(id))[0]! / 255) * 6);
  known.set(key, logits);
  return logits;
}

/** Uniform numbers in [0, 1): a small generator (mulberry32), good enough for noise. */
function generator(seedNumber: number): () => number {
  let state = seedNumber | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const SIGMA = 1e-3;
const seed = new Uint8Array(32).fill(9);
const STOP = 79;

interface Run {
  length?: number;
  writer?: string;
  recorder?: string;
  params?: typeof DEFAULT_SAMPLING;
  run?: number;
}

/** `writer` chooses the tokens, `recorder` gives the recorded values, the validator runs the declared model. */
function inputOf({
  length = 64,
  writer = "declared",
  recorder = "declared",
  params = DEFAULT_SAMPLING,
  run = 1,
}: Run): ScoreInput {
  const ids: number[] = [];
  const artifact = [];
  const validator = [];
  const previous = new Map<number, number>();
  for (let i = 0; i < length; i++) {
    const written = logitsAt(writer, i, SIGMA, run).filter(([id]) => id !== STOP);
    const id = sample(params, seed, i, written, previous);
    const recorded = logitsAt(recorder, i, SIGMA, run).filter(([id]) => id !== STOP);
    const top = recorded.toSorted((a, b) => b[1] - a[1]).slice(0, 5);
    const listed = top.some(([other]) => other === id) ? top : [...top, recorded[id]!];
    artifact.push(positionValues({ id, top: listed.map(([other, logprob]) => ({ id: other, logprob })) }, 5));
    validator.push(logitsAt("declared", i, SIGMA, run + 100_000).filter(([other]) => other !== STOP));
    ids.push(id);
    previous.set(id, (previous.get(id) ?? 0) + 1);
  }
  return {
    profile,
    params: DEFAULT_SAMPLING,
    seed,
    ids,
    artifact,
    validator,
    finishReason: "length",
    maxTokens: length,
    stopTokenIds: new Set([STOP]),
  };
}

const empty: Profile = {
  version: 3,
  model: "test",
  weightsSha256: "",
  quantization: "f16",
  engine: "hash",
  kvCache: "none",
  step: "1/32",
  k: 5,
  sigmaH: SIGMA,
  sigmaLogit: SIGMA,
  alphaFail: 1e-3,
  minPositions: 8,
  settings: [],
  excluded: [],
  heldOut: { runs: 0, fails: 0 },
  buckets: [1, 16, 32, 64, 128, 256].map((from) => ({ from, to: null, distance: [], scan: [], gumbel: [] })),
};
let profile: Profile = {
  ...empty,
  buckets: empty.buckets.map((b) => ({
    ...b,
    distance: new Array(20).fill(0),
    scan: new Array(20).fill(0),
    gumbel: new Array(20).fill(0),
  })),
};
{
  // Honest runs of this toy, as a calibrator collects them: more copies only say that they are many.
  const scores = Array.from({ length: 30 }, (_, run) => scoreInference(inputOf({ run: run + 2 })));
  const many = (pick: (s: (typeof scores)[number]) => number): number[] =>
    Array.from({ length: 20 }, () => scores.map(pick))
      .flat()
      .toSorted((a, b) => a - b);
  const lists = {
    distance: many((s) => s.distance.mean),
    scan: many((s) => s.distance.scan),
    gumbel: many((s) => s.sampling.score),
  };
  profile = { ...empty, buckets: empty.buckets.map((b) => ({ ...b, ...lists })) };
}

const verdictOf = (run: Run, change: Partial<ScoreInput> = {}): string[] => {
  const score = scoreInference({ ...inputOf(run), ...change, profile });
  return [score.verdict, score.reason];
};

describe("a check", () => {
  test("passes honest runs", () => {
    for (let run = 1_000; run < 1_010; run++) expect(verdictOf({ run })[0]).toBe("pass");
  });

  test("fails another model by its distance", () => {
    expect(verdictOf({ writer: "other", recorder: "other" })[0]).toBe("fail");
  });

  test("fails laundering, which no distance sees, by the tokens", () => {
    const score = scoreInference({ ...inputOf({ writer: "other" }), profile });
    expect([score.verdict, score.reason]).toEqual(["fail", "sampling"]);
    expect(score.pDistance).toBeGreaterThan(0.001);
  });

  test("fails another temperature and another seed", () => {
    expect(verdictOf({ params: { ...DEFAULT_SAMPLING, temperatureMicros: 0 } })).toEqual(["fail", "sampling"]);
    expect(verdictOf({}, { seed: new Uint8Array(32) })).toEqual(["fail", "sampling"]);
  });

  test("abstains where the output is too short for evidence, and still fails what is false", () => {
    expect(verdictOf({ length: 4 })).toEqual(["abstain", "short"]);
    expect(verdictOf({ length: 7, writer: "other", recorder: "other" })[0]).toBe("fail");
    expect(scoreInference({ ...inputOf({ length: 0 }), finishReason: "cancelled" }).verdict).toBe("abstain");
  });

  test.each<[string, Partial<ScoreInput>]>([
    ["a length that is not the maximum", { maxTokens: 65 }],
    ["more tokens than allowed", { maxTokens: 63 }],
    ["a stop without a stop token", { finishReason: "stop" }],
  ])("fails the finish: %s", (_, change) => {
    expect(verdictOf({}, change)).toEqual(["fail", "finish"]);
  });

  test("fails an output that goes on after a stop token", () => {
    const input = inputOf({});
    expect(verdictOf({}, { ids: input.ids.with(10, STOP) })).toEqual(["fail", "finish"]);
  });

  test("fails an end that the seed does not demand, and one that is passed over", () => {
    const input = inputOf({ length: 32 });
    const last = input.ids.length - 1;
    // The stop token is there on the validator's side, but unlikely.
    const unlikely = input.validator.map((logits) => [...logits, [STOP, -20] as const]);
    const stopped = {
      ids: input.ids.with(last, STOP),
      artifact: input.artifact.with(last, { rank: 5, values: [...input.artifact[last]!.values.slice(0, 5), -9] }),
      finishReason: "stop" as const,
    };
    expect(verdictOf({ length: 32 }, { ...stopped, validator: unlikely })).toEqual(["fail", "finish"]);
    // Where the seed demands it, the same end is right; going on to the maximum is not.
    const certain = unlikely.with(last, [...input.validator[last]!, [STOP, 50] as const]);
    expect(verdictOf({ length: 32 }, { ...stopped, validator: certain })[1]).not.toBe("finish");
    expect(verdictOf({ length: 32 }, { validator: certain })).toEqual(["fail", "finish"]);
  });

  test("scores what is longer than any calibrated run by the stretch, not by the sum", () => {
    const { params, seed: own, ids, validator } = inputOf({ length: 64, writer: "other" });
    const repeat = <T>(list: readonly T[]): T[] => Array.from({ length: 16 }, () => list).flat();
    const once = gumbelCheck(params, own, repeat(ids).slice(0, 256), repeat(validator).slice(0, 256), SIGMA);
    const fourfold = gumbelCheck(params, own, repeat(ids), repeat(validator), SIGMA);
    expect(fourfold.score / once.score).toBeGreaterThan(0.8);
    expect(fourfold.score / once.score).toBeLessThan(1.25);
  });

  test("abstains where too few honest runs stand behind the model for anything to fail", () => {
    const thin = profile.buckets.map((b) => ({
      ...b,
      distance: b.distance.slice(-50),
      scan: b.scan.slice(-50),
      gumbel: b.gumbel.slice(-50),
    }));
    const score = scoreInference({ ...inputOf({}), profile: { ...profile, buckets: thin } });
    expect([score.verdict, score.reason]).toEqual(["abstain", "uncalibrated"]);
  });

  test("fails an artifact of other tokens or another length", () => {
    const input = inputOf({});
    expect(verdictOf({}, { artifact: input.artifact.slice(1) })).toEqual(["fail", "tokens"]);
    expect(verdictOf({}, { artifact: input.artifact.toReversed() })).toEqual(["fail", "distance"]);
  });
});

test("a part behind a prefix is judged as the same part of the whole answer is", () => {
  const params = { ...DEFAULT_SAMPLING, frequencyPenaltyMicros: 300_000 };
  const { ids, validator, artifact } = inputOf({ params, writer: "other", length: 48 });
  const check = (from: number, to: number): GumbelStatistics =>
    gumbelCheck(params, seed, ids.slice(from, to), validator.slice(from, to), SIGMA, new Set(), ids.slice(0, from));
  const whole = check(0, 48);
  expect(whole.flips).toBeGreaterThan(0);
  for (const cut of [1, 7, 24, 47]) {
    const parts = [check(0, cut), check(cut, 48)];
    expect(parts.reduce((sum, { flips }) => sum + flips, 0)).toBe(whole.flips);
    expect(parts.reduce((sum, { score }) => sum + score, 0)).toBeCloseTo(whole.score, 9);
    const inspected = inspectPositions({
      params,
      seed,
      ids: ids.slice(cut),
      prefixIds: ids.slice(0, cut),
      artifact: artifact.slice(cut),
      validator: validator.slice(cut),
    });
    expect(inspected).toEqual(inspectPositions({ params, seed, ids, artifact, validator }).slice(cut));
  }
});

test("a part behind a prefix ends where the whole answer ends", () => {
  const input = inputOf({ length: 20 });
  const part = { ...input, prefixIds: [1, 2, 3], maxTokens: 23 };
  expect(scoreInference(part).reason).not.toBe("finish");
  expect(scoreInference({ ...part, maxTokens: 20 }).reason).toBe("finish");
  expect(scoreInference({ ...part, maxTokens: 24 }).reason).toBe("finish");
});

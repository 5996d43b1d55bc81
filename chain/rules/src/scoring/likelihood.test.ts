import { describe, expect, test } from "vitest";
import {
  conformalP,
  DEFAULT_SAMPLING,
  domainHash,
  joinLikelihood,
  likelihoodCheck,
  likelihoodScore,
  type Profile,
  positionValues,
  type ScoreInput,
  sample,
  scoreInference,
  surprisalZ,
  type TokenLogit,
} from "../index.ts";

const PARAMS = { ...DEFAULT_SAMPLING, temperatureMicros: 800_000 };
const LENGTH = 48;

/** Logits of a small model by hash: those of `cheap` are the declared model's, moved. */
function logitsAt(model: "declared" | "cheap", run: number, position: number): TokenLogit[] {
  const noise = (label: string, id: number): number =>
    domainHash(label, BigInt(run), BigInt(position), BigInt(id))[0]! / 255;
  const raw = Array.from({ length: 40 }, (_, id) => {
    const declared = 6 * noise("logit", id);
    return model === "declared" ? declared : declared + 3 * (noise("moved", id) - 0.5);
  });
  const mass = Math.log(raw.reduce((sum, logit) => sum + Math.exp(logit), 0));
  return raw.map((logit, id) => [id, logit - mass] as const);
}

const view = (model: "declared" | "cheap", run: number): TokenLogit[][] =>
  Array.from({ length: LENGTH }, (_, position) => logitsAt(model, run, position));

/** Tokens that a sampler of a model draws, at a temperature that may be another than the request's. */
function drawn(model: "declared" | "cheap", run: number, temperatureMicros = PARAMS.temperatureMicros): number[] {
  const seed = domainHash("draw", BigInt(run));
  return view(model, run).map((logits, position) => sample({ ...PARAMS, temperatureMicros }, seed, position, logits));
}

const statisticsOf = (ids: readonly number[], run: number) =>
  likelihoodCheck({ params: PARAMS, ids, validator: view("declared", run), substitutes: [view("cheap", run)] });
const scoreOf = (ids: readonly number[], run: number): number => likelihoodScore(statisticsOf(ids, run));

const HONEST = Array.from({ length: 200 }, (_, run) => drawn("declared", run));
const honestScores = HONEST.map((ids, run) => scoreOf(ids, run)).sort((a, b) => a - b);
const found = (ids: (run: number) => number[]): number => {
  const runs = Array.from({ length: 40 }, (_, i) => 1_000 + i);
  return runs.filter((run) => conformalP(honestScores, scoreOf(ids(run), run), 1) <= 0.01).length / runs.length;
};

describe("tokens of an engine that draws by itself", () => {
  test("S of an honest sampler is about standard normal", () => {
    const z = HONEST.map((ids, run) => surprisalZ(statisticsOf(ids, run)));
    const mean = z.reduce((sum, each) => sum + each, 0) / z.length;
    const variance = z.reduce((sum, each) => sum + (each - mean) ** 2, 0) / z.length;
    expect(Math.abs(mean)).toBeLessThan(0.25);
    expect(variance).toBeGreaterThan(0.6);
    expect(variance).toBeLessThan(1.6);
  });

  test("no alternative explains an honest sampler better by s with probability above e^-s", () => {
    for (const nats of [1, 2, 3]) {
      const above = honestScores.filter((score) => score >= nats).length / honestScores.length;
      // Two hundred runs: three standard deviations of the bound itself.
      expect(above).toBeLessThan(Math.exp(-nats) + 3 * Math.sqrt(Math.exp(-nats) / honestScores.length));
    }
  });

  test("a named substitute is found, at the request's temperature and at one that hides its surprise", () => {
    expect(found((run) => drawn("cheap", run))).toBeGreaterThan(0.9);
    expect(found((run) => drawn("cheap", run, 600_000))).toBeGreaterThan(0.8);
  });

  test("another temperature is found without any substitute being named", () => {
    expect(found((run) => drawn("declared", run, 300_000))).toBeGreaterThan(0.9);
    expect(found((run) => drawn("declared", run, 1_600_000))).toBeGreaterThan(0.8);
  });

  test("outputs that say little say more together", () => {
    const runs = Array.from({ length: 12 }, (_, i) => 2_000 + i);
    const short = runs.map((run) =>
      likelihoodCheck({
        params: PARAMS,
        ids: drawn("cheap", run).slice(0, 8),
        validator: view("declared", run),
        substitutes: [view("cheap", run)],
      }),
    );
    const together = joinLikelihood(short);
    expect(together.positions).toBe(12 * 8);
    expect(likelihoodScore(together)).toBeGreaterThan(3 * Math.max(...short.map(likelihoodScore)));
  });

  test("a token outside of the allowed set counts against its sampler, and no further than one token may", () => {
    const ids = drawn("declared", 1);
    const logits = view("declared", 1);
    const unlikely = logits[5]!.toSorted((a, b) => a[1] - b[1])[0]![0];
    const params = { ...PARAMS, topK: 4 };
    const input = { params, validator: logits, substitutes: [view("cheap", 1)] };
    const before = likelihoodCheck({ ...input, ids });
    const after = likelihoodCheck({ ...input, ids: ids.with(5, unlikely) });
    expect(after.excess).toBeGreaterThan(before.excess);
    for (const [j, ratio] of after.logRatios.entries()) expect(Math.abs(ratio - before.logRatios[j]!)).toBeLessThan(13);
  });
});

describe("a verdict by an unseeded profile", () => {
  const lists = { distance: new Array<number>(4_000).fill(0.01), scan: new Array<number>(4_000).fill(0.01) };
  const from = [1, 16, 32, 64, 128, 256];
  const profile: Profile = {
    version: 3,
    model: "declared",
    weightsSha256: "00".repeat(32),
    quantization: "f32",
    engine: "test",
    kvCache: "f16",
    step: "1/128",
    k: 5,
    sigmaH: 0.002,
    sigmaLogit: 0.001,
    alphaFail: 0.01,
    minPositions: 8,
    settings: [],
    excluded: [],
    heldOut: { runs: 0, fails: 0 },
    buckets: from.map((start) => ({ from: start, to: null, ...lists, gumbel: new Array<number>(4_000).fill(0) })),
    unseeded: {
      substitutes: [{ name: "cheap", weightsSha256: "11".repeat(32) }],
      buckets: from.map((start) => ({ from: start, scores: honestScores })),
    },
  };
  const inputOf = (ids: readonly number[], run: number): ScoreInput => {
    const validator = view("declared", run);
    const artifact = validator.map((logits, position) => {
      const top = logits.map(([id, logprob]) => ({ id, logprob })).sort((a, b) => b.logprob - a.logprob);
      const id = ids[position]!;
      return positionValues({ id, top: [...top.slice(0, 5), ...top.slice(5).filter((entry) => entry.id === id)] }, 5);
    });
    return {
      profile,
      params: PARAMS,
      seed: new Uint8Array(32),
      ids,
      artifact,
      validator,
      substitutes: [view("cheap", run)],
      finishReason: "length",
      maxTokens: LENGTH,
      stopTokenIds: new Set(),
    };
  };

  test("passes what the seed does not demand, and fails a laundered substitute", () => {
    expect(scoreInference(inputOf(drawn("declared", 3_000), 3_000))).toMatchObject({ verdict: "pass" });
    expect(scoreInference({ ...inputOf(drawn("cheap", 3_001), 3_001) })).toMatchObject({
      verdict: "fail",
      reason: "sampling",
    });
  });

  test("where nothing is drawn, the token is the demanded one as ever", () => {
    const run = 3_002;
    const greedy = { ...PARAMS, temperatureMicros: 0 };
    const best = drawn("declared", run, 0);
    expect(scoreInference({ ...inputOf(best, run), params: greedy })).toMatchObject({ verdict: "pass" });
    expect(scoreInference({ ...inputOf(drawn("cheap", run, 0), run), params: greedy })).toMatchObject({
      verdict: "fail",
    });
  });

  test("says when a named substitute was not asked", () => {
    const input = { ...inputOf(drawn("declared", 3_003), 3_003), substitutes: [] };
    expect(() => scoreInference(input)).toThrow(expect.objectContaining({ code: "invalid_profile" }));
  });
});

/** The calibrator without an engine: what it refuses, what it resumes, what it states. */
import { appendFile, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BUCKET_STARTS, type Profile } from "@karat/rules";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { seedOf } from "./calibrate.ts";
import { Journal, type Row } from "./journal.ts";
import { readOptions } from "./options.ts";
import { distributionPlot, thresholdOf } from "./plot.ts";
import { estimateSigmas, extendProfile } from "./scores.ts";
import { power, statementOf } from "./statement.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "karat-calibrate-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const scores = Array.from({ length: 1_000 }, (_, i) => 0.002 + i * 1e-6);
const profile: Profile = {
  version: 3,
  model: "m",
  weightsSha256: "00".repeat(32),
  quantization: "f16",
  engine: "e",
  kvCache: "f16",
  step: "1/128",
  k: 5,
  sigmaH: 0.002,
  sigmaLogit: 0.0006,
  alphaFail: 5e-4,
  minPositions: 8,
  settings: [{ name: "alone", runs: 6_000 }],
  excluded: [{ what: "another cache", reason: "other numbers" }],
  heldOut: { runs: 3_000, fails: 0 },
  buckets: BUCKET_STARTS.map((from, i) => ({
    from,
    to: (BUCKET_STARTS[i + 1] ?? 0) - 1 || null,
    distance: scores,
    scan: scores,
    gumbel: new Array<number>(1_000).fill(0),
  })),
};
const row = (more: Partial<Row> = {}): Row => ({
  phase: "held-out",
  setting: "alone",
  length: 20,
  bytes: 100,
  distance: 0.002,
  scan: 0.002,
  gumbel: 0,
  verdict: "pass",
  reason: "ok",
  p: 0.5,
  pDistance: 0.25,
  pSampling: 1,
  ...more,
});

describe("options", () => {
  const paths = ["--model", "m.gguf", "--out", "p.json"];
  test("a claim that no outcome of the sample could carry is refused before anything is run", () => {
    expect(() => readOptions([...paths, "--held-out", "2994"])).toThrow(
      expect.objectContaining({ code: "sample_too_small", data: { claim: 0.001, runs_needed: 2_995 } }),
    );
    expect(readOptions([...paths, "--held-out", "2995"]).heldOut).toBe(2_995);
    expect(readOptions([...paths, "--held-out", "299", "--claim", "0.01"]).claim).toBe(0.01);
  });

  test.each([
    [["--model", "m.gguf"]],
    [[...paths, "--runs", "0"]],
    [[...paths, "--step", "1/7"]],
    [[...paths, "--k", "21"]],
    [[...paths, "--lanes", "0"]],
    [[...paths, "--alpha", "2"]],
    [["--model", "m.gguf", "--out", "p.txt"]],
    [[...paths, "--unheard-of", "1"]],
  ])("bad input is a typed error: %s", (args) => {
    expect(() => readOptions(args)).toThrow(expect.objectContaining({ code: "invalid_config" }));
  });
});

describe("journal", () => {
  test("an interrupted calibration goes on with every whole run, and a line cut off in the middle is made again", async () => {
    const path = join(folder, "a.jsonl");
    const first = await Journal.open(path, { seed: 1 });
    await first.add(row());
    await first.add(row({ setting: "batched" }));
    await appendFile(path, '{"phase":"held-out","setti');
    const second = await Journal.open(path, { seed: 1 });
    expect(second.of("held-out")).toEqual([row(), row({ setting: "batched" })]);
    await second.add(row());
    expect((await Journal.open(path, { seed: 1 })).rows).toHaveLength(3);
    expect((await readFile(path, "utf8")).trimEnd().split("\n")).toHaveLength(4);
  });

  test("runs of another plan are not mixed in", async () => {
    const path = join(folder, "b.jsonl");
    await Journal.open(path, { seed: 1 });
    await expect(Journal.open(path, { seed: 2 })).rejects.toMatchObject({ code: "journal_of_another_plan" });
  });
});

test("the held-out requests follow from the profile: another threshold, other requests; their outcome changes nothing", () => {
  expect(seedOf({ ...profile, heldOut: { runs: 0, fails: 0 } })).toBe(seedOf(profile));
  expect(seedOf({ ...profile, alphaFail: 4e-4 })).not.toBe(seedOf(profile));
});

test("the noise of a logit is that of the noisiest setting, the unit of distance the mean of all", () => {
  const spread = (setting: string, recorded: number, exact: number) => ({ setting, recorded, exact });
  const sigmas = estimateSigmas([spread("a", 1, 2), spread("a", 3, 4), spread("b", 5, 1), spread("b", 7, 1)]);
  expect(sigmas).toEqual({ sigmaH: 4, sigmaLogit: 3 });
});

test("extending keeps what was there, sorted, and certifies nothing by itself", () => {
  const terms = {
    coding: { step: "1/128", k: 5 } as const,
    sigmas: profile,
    alphaFail: 1e-3,
    minPositions: 8,
    kvCache: "f16",
    settings: [
      { name: "alone", runs: 1 },
      { name: "new", runs: 1 },
    ],
    excluded: [],
    substitutes: [],
  };
  const extended = extendProfile(profile, terms, [
    { length: 20, distance: 0.0025, scan: 0.001, gumbel: 0.1 },
    { length: 300, distance: 0.001, scan: 0.001, gumbel: 0 },
  ]);
  expect(extended.buckets.map(({ distance }) => distance.length)).toEqual([1_000, 1_001, 1_000, 1_000, 1_000, 1_001]);
  for (const { distance } of extended.buckets) expect(distance).toEqual(distance.toSorted((a, b) => a - b));
  expect(extended.settings).toEqual([
    { name: "alone", runs: 6_001 },
    { name: "new", runs: 1 },
  ]);
  expect(extended.heldOut).toEqual({ runs: 0, fails: 0 });
});

describe("statement", () => {
  const terms = { outPath: "out.json", claim: 1e-3, seed: 1, bytesPerToken: 5.6, threadPositions: 60, missing: [] };
  const of = (runs: number, fails: number) =>
    statementOf(
      { ...profile, heldOut: { runs, fails } },
      Array.from({ length: runs }, (_, i) => row(i < fails ? { verdict: "fail", reason: "distance", p: 1e-4 } : {})),
      terms,
    );

  test("certifies by the exact bound and not by the estimate", () => {
    expect(of(2_995, 0)).toMatchObject({ certified: true });
    expect(of(2_994, 0).certified).toBe(false);
    expect(of(4_741, 1).certified).toBe(false); // 2.1·10^-4 was seen
    expect(of(4_750, 1)).toMatchObject({ certified: true });
    expect(of(4_750, 2).certified).toBe(false);
  });

  test("names what it covers, what it does not, and every failure", () => {
    const { text } = of(3_600, 1);
    expect(text).toContain("**Not certified: false positives ≤ 10⁻³.**");
    expect(text).toContain("| alone | 6000 | 3600 | 1 | 1 |");
    expect(text).toContain("- another cache: other numbers.");
    expect(text).toContain("- alone, 20 tokens: distance, p = 10⁻⁴");
  });

  test("numbers are written as powers of ten", () => {
    expect([0.00063, 1e-3, 0.0016, 0.25, 0].map(power)).toEqual(["6.3·10⁻⁴", "10⁻³", "1.6·10⁻³", "0.25", "0"]);
  });
});

test("the plot draws each length and the value from which a check fails; infinite where nothing could", () => {
  const svg = distributionPlot(profile);
  expect(svg.match(/stroke="#c0392b"/g)).toHaveLength(12);
  const at = thresholdOf(scores, 0.01, 1e-4);
  expect(scores.filter((score) => score >= at).length).toBeLessThanOrEqual(10);
  expect(at).toBeLessThan(scores.at(-1)!);
  expect(thresholdOf(scores, 1e-4, 1e-4)).toBeGreaterThan(scores.at(-1)!);
  expect(thresholdOf(scores.slice(0, 100), 1e-4, 1e-4)).toBe(Number.POSITIVE_INFINITY);
});

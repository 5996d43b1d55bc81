/** Honest answers pass, cheats fail, and nothing malformed is ever a pass: with the real small models. */
import { fromBase64, utf8 } from "@karat/common";
import {
  artifactRoot,
  bytesToHex,
  DEFAULT_SAMPLING,
  decodeArtifact,
  encodeArtifact,
  type PositionValues,
  type Profile,
  sha256,
  valuesAgree,
  valuesRoot,
} from "@karat/rules";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { launder, swap } from "../attack/attack.ts";
import { collect } from "../collect.ts";
import type { InferenceEngine, PromptInput } from "../engine/engine.ts";
import { createLlamaEngine } from "../engine/llama/llamaEngine.ts";
import { answer } from "./answer.ts";
import { buildArtifact, codingOf, promptHash } from "./artifact.ts";
import { Prefills } from "./prefills.ts";
import { loadProfile } from "./profile.ts";
import type { Delivered, ScoreRequest } from "./scoreRequest.ts";
import { prefillAnswer, scoreAnswer } from "./scoring.ts";
import { textOf } from "./textAssembler.ts";

const models = new URL("../../../models/", import.meta.url).pathname;
const open = (file: string): Promise<InferenceEngine> =>
  createLlamaEngine({ modelPath: `${models}${file}`, id: "karat-tiny" });

let honest: InferenceEngine;
let small: InferenceEngine;
let quantized: InferenceEngine;
let profile: Profile;

beforeAll(async () => {
  [honest, small, quantized] = await Promise.all([
    open("karat-tiny-f16.gguf"),
    open("karat-mini-f16.gguf"),
    open("karat-tiny-q4_0.gguf"),
  ]);
  profile = await loadProfile(`${models}profiles/karat-tiny-f16.json`);
});
afterAll(() => Promise.all([honest, small, quantized].map((engine) => engine?.close())));

const CHAT: PromptInput = { messages: [{ role: "user", content: "What does os.path.join() do?" }] };
const TEXT: PromptInput = { prompt: "The following function" };

interface Order {
  input?: PromptInput;
  maxTokens?: number;
  stop?: string[];
  sampling?: Partial<typeof DEFAULT_SAMPLING>;
  seed?: number;
  prefixIds?: readonly number[];
}

/** Has an executor answer and deliver, and makes the validator's request of it. */
async function deliver(executor: InferenceEngine, order: Order = {}): Promise<ScoreRequest & { delivered: Delivered }> {
  const { input = TEXT, maxTokens = 64, stop = [], seed = 1, prefixIds = [] } = order;
  const sampling = { ...DEFAULT_SAMPLING, temperatureMicros: 700_000, ...order.sampling };
  const bound = { sampling, seed: new Uint8Array(32).fill(seed), inferenceId: new Uint8Array(32).fill(9) };
  const coding = codingOf(profile);
  const events = await collect(
    answer(executor, { input, maxTokens, stop, prefixIds, ...bound, topLogprobs: 0, recordTop: coding.k }),
  );
  const end = events.at(-1);
  if (end?.type !== "end") throw new Error("no end");
  const { artifact, root } = buildArtifact(coding, end, bound);
  return {
    model: "karat-tiny",
    ...bound,
    asked: { input, maxTokens, stop },
    prefixIds,
    pooled: [],
    delivered: {
      tokenIds: end.tokenIds,
      finishReason: end.finishReason,
      artifact,
      artifactRoot: root,
      outputHash: sha256(utf8(end.text)),
      promptHash: promptHash(end.promptIds),
      promptTokens: end.promptIds.length,
    },
  };
}

const score = (request: ScoreRequest, by: Profile | undefined = profile) =>
  scoreAnswer({ engine: honest, profile: by, prefills: new Prefills() }, request);

/** An order whose honest answer has exactly `maxTokens` tokens. */
async function longOrder(maxTokens: number): Promise<Order> {
  for (let seed = 1; seed < 50; seed++) {
    const { delivered } = await deliver(honest, { maxTokens, seed });
    if (delivered.tokenIds.length === maxTokens) return { maxTokens, seed };
  }
  throw new Error("the model always stops early");
}

describe("a blind check", () => {
  it("sees its own values before the artifact, and makes its prefill once", async () => {
    const context = { engine: honest, profile, prefills: new Prefills() };
    const sent = await deliver(honest, { maxTokens: 32 });
    const { artifact: _, artifactRoot: __, ...output } = sent.delivered;
    const own = await prefillAnswer(context, { ...sent, delivered: output });
    const positions = sent.delivered.tokenIds.length;
    expect(own).toMatchObject({ positions });
    if ("verdict" in own) throw new Error("a verdict without the artifact");
    const windows = own.windows.map(fromBase64);
    expect(own.values_hash).toBe(bytesToHex(valuesRoot(windows, positions)));
    // Whoever scores with the same weights has values that agree, whoever does not has not.
    const by = async (engine: InferenceEngine): Promise<Uint8Array> => {
      const profileOf = { ...profile, weightsSha256: engine.info().weightsSha256 };
      const view = await prefillAnswer(
        { engine, profile: profileOf, prefills: new Prefills() },
        { ...sent, delivered: output },
      );
      if ("verdict" in view) throw new Error(view.reason);
      return fromBase64(view.windows[0]!);
    };
    expect(valuesAgree(windows[0]!, await by(honest), Math.min(32, positions))).toBe(true);
    expect(valuesAgree(windows[0]!, await by(small), Math.min(32, positions))).toBe(false);
    expect(context.prefills.size).toBe(sent.delivered.tokenIds.length);
    expect(await prefillAnswer(context, { ...sent, delivered: output })).toEqual(own);
    expect(await scoreAnswer(context, sent)).toMatchObject({ verdict: "pass" });
    expect(context.prefills.size).toBe(sent.delivered.tokenIds.length);
  });

  it("of outputs too short for evidence tells an honest executor from a substitute when there are enough", async () => {
    const pool = async (executor: InferenceEngine) => {
      const parts = await Promise.all(
        Array.from({ length: 11 }, (_, i) => deliver(executor, { maxTokens: 6, seed: 20 + i })),
      );
      expect(await score(parts[0]!)).toMatchObject({ verdict: expect.stringMatching(/abstain|fail/) });
      return score({ ...parts[0]!, pooled: parts.slice(1) });
    };
    expect(await pool(honest)).toMatchObject({ verdict: "pass" });
    expect(await pool(small)).toMatchObject({ verdict: "fail" });
  });
});

describe("an honest executor", () => {
  it("passes at every temperature and restriction", async () => {
    const orders: Order[] = [
      { sampling: { temperatureMicros: 0 } },
      { sampling: { temperatureMicros: 1_200_000 } },
      { sampling: { topPMicros: 900_000, topK: 20 } },
      { sampling: { minPMicros: 50_000, frequencyPenaltyMicros: 500_000, presencePenaltyMicros: -200_000 } },
      { maxTokens: 150, seed: 5 },
    ];
    for (const order of orders) {
      expect(await score(await deliver(honest, order)), JSON.stringify(order)).toMatchObject({
        verdict: "pass",
        reason: "ok",
      });
    }
  });

  it("passes when it ends at a stop token or a stop sequence", async () => {
    const stopped = await deliver(honest, { input: CHAT, sampling: { temperatureMicros: 0 } });
    expect(stopped.delivered.finishReason).toBe("stop");
    expect((await score(stopped)).verdict).toBe("pass");
    const { text } = textOf(honest.vocabulary, stopped.delivered.tokenIds);
    const order = { input: CHAT, sampling: { temperatureMicros: 0 }, stop: [text.slice(-4, -1)] };
    const cut = await deliver(honest, order);
    expect(cut.delivered.finishReason).toBe("stop_sequence");
    expect((await score(cut)).verdict).toBe("pass");
  });

  it("passes behind a long prompt too, whose noise once counted as another model's", async () => {
    const input: PromptInput = { messages: [{ role: "user", content: "Tell me about the path. ".repeat(90) }] };
    for (const maxTokens of [40, 100, 160]) {
      const sent = await deliver(honest, {
        input,
        maxTokens,
        seed: maxTokens,
        sampling: { temperatureMicros: 900_000 },
      });
      const { verdict, statistics } = await score(sent);
      expect(verdict).not.toBe("fail");
      // Hardly more than the rounding of the recorded values, a 128th of a nat.
      expect(statistics.distance).toBeLessThan(0.0026);
    }
  });

  it("is abstained from when a handful of tokens is no evidence", async () => {
    expect(await score(await deliver(honest, { maxTokens: 2 }))).toMatchObject({ verdict: "abstain", reason: "short" });
  });

  it("lists what is seen at each position on request", async () => {
    const sent = await deliver(honest);
    const { positions, statistics } = await score({ ...sent, detail: true });
    expect(positions?.map(({ id }) => id)).toEqual(sent.delivered.tokenIds);
    expect(positions?.filter(({ margin }) => margin > statistics.gate!)).toHaveLength(statistics.gatedMargins!);
    expect(positions?.every(({ id, demanded, margin }) => margin > 0 || id === demanded)).toBe(true);
    expect((await score(sent)).positions).toBeUndefined();
  });

  it("reports the statistics that a verdict is made of", async () => {
    const { statistics } = await score(await deliver(honest));
    expect(statistics.positions).toBeGreaterThan(20);
    expect(statistics.distance).toBeLessThan(0.03);
    expect(statistics.gatedMargins).toBeLessThanOrEqual(1);
  });
});

describe("an executor that goes on behind another's tokens", () => {
  it("passes for its part, whoever wrote the beginning, and only behind that beginning", async () => {
    const sampling = { frequencyPenaltyMicros: 300_000 };
    const { delivered } = await deliver(honest, { maxTokens: 24, seed: 3, sampling });
    const prefixIds = delivered.tokenIds.slice(0, 10);
    const part = await deliver(honest, { maxTokens: 90, seed: 5, sampling, prefixIds });
    expect(part.delivered.tokenIds.length).toBeGreaterThan(8);
    expect(await score(part)).toMatchObject({ verdict: "pass" });
    expect(await score({ ...part, prefixIds: [] })).toMatchObject({ verdict: "fail", reason: "prompt_hash" });
    expect(await score({ ...part, prefixIds: prefixIds.toReversed() })).toMatchObject({ verdict: "fail" });
    expect(await score({ ...part, prefixIds: [honest.vocabulary.size] })).toMatchObject({ verdict: "abstain" });
  });

  it("fails when it runs other weights behind an honest beginning", async () => {
    const { delivered } = await deliver(honest, { maxTokens: 24, seed: 3 });
    const part = await deliver(small, { maxTokens: 90, seed: 5, prefixIds: delivered.tokenIds.slice(0, 10) });
    expect(await score(part)).toMatchObject({ verdict: "fail" });
  });
});

describe("a cheating executor", () => {
  it("fails when it runs other weights", async () => {
    for (const substitute of [small, quantized]) {
      const order = await longOrder(64);
      const result = await score(await deliver(swap(honest, substitute), order));
      expect(result).toMatchObject({ verdict: "fail", p_bucket: 10 });
    }
  });

  it("fails when it launders another model's answer through the declared one", async () => {
    const results = [];
    for (let seed = 1; seed <= 4; seed++)
      results.push(await score(await deliver(launder(honest, small), { maxTokens: 128, seed })));
    expect(results.filter(({ verdict }) => verdict === "fail").length).toBeGreaterThanOrEqual(3);
    // The recorded values are the declared model's own: only the seed gives it away.
    expect(results.filter(({ reason }) => reason === "sampling").length).toBeGreaterThanOrEqual(3);
  });

  it("fails when it samples with another seed or another temperature", async () => {
    const sent = await deliver(honest, await longOrder(64));
    const seed = new Uint8Array(32).fill(77);
    // Recommitted under the seed it should have used, so that only the tokens tell.
    const recommitted = recommit({ ...sent, seed }, positionsOf(sent));
    expect(await score(recommitted)).toMatchObject({ verdict: "fail", reason: "sampling" });
    const sampling = { ...sent.sampling, temperatureMicros: 0 };
    expect(await score(recommit({ ...sent, sampling }, positionsOf(sent)))).toMatchObject({
      verdict: "fail",
      reason: "sampling",
    });
  });
});

const positionsOf = ({ delivered: { artifact, tokenIds } }: { delivered: Delivered }): Committed[] =>
  decodeArtifact(artifact, { length: tokenIds.length, vocabularySize: 2048 }).positions.map((position, i) => ({
    ...position,
    id: tokenIds[i]!,
  }));
type Committed = PositionValues & { id: number };

/** A consistent commitment to changed positions: what a cheat who knows the protocol sends. */
function recommit(
  request: ScoreRequest & { delivered: Delivered },
  positions: Committed[],
  coding = codingOf(profile),
): ScoreRequest & { delivered: Delivered } {
  const { sampling, seed, inferenceId, delivered } = request;
  const tokenIds = positions.map(({ id }) => id);
  const root = artifactRoot({
    ...coding,
    inferenceId,
    promptHash: delivered.promptHash,
    params: sampling,
    seed,
    positions,
  });
  const { text } = textOf(honest.vocabulary, tokenIds);
  const artifact = encodeArtifact(positions, coding);
  return {
    ...request,
    delivered: { ...delivered, tokenIds, artifact, artifactRoot: root, outputHash: sha256(utf8(text)) },
  };
}

describe("a delivery that contradicts itself", () => {
  let sent: ScoreRequest & { delivered: Delivered };
  beforeAll(async () => {
    sent = await deliver(honest, await longOrder(48));
  });
  const change = (delivered: Partial<Delivered>) => score({ ...sent, delivered: { ...sent.delivered, ...delivered } });
  const flipped = (bytes: Uint8Array, at = 0): Uint8Array => bytes.map((byte, i) => (i === at ? byte ^ 1 : byte));

  it("fails on every hash that does not fit", async () => {
    const { artifactRoot: root, outputHash, promptHash: prompt } = sent.delivered;
    expect(await change({ artifactRoot: flipped(root) })).toMatchObject({ verdict: "fail", reason: "artifact_root" });
    expect(await change({ outputHash: flipped(outputHash) })).toMatchObject({ verdict: "fail", reason: "output_hash" });
    expect(await change({ promptHash: flipped(prompt) })).toMatchObject({ verdict: "fail", reason: "prompt_hash" });
    const replayed = { ...sent, inferenceId: new Uint8Array(32).fill(8) };
    expect(await score(replayed)).toMatchObject({ verdict: "fail", reason: "artifact_root" });
  });

  it("fails where more of a prompt is counted than was read, or less", async () => {
    const { promptTokens } = sent.delivered;
    for (const wrong of [promptTokens + 1, promptTokens - 1, 0]) {
      expect(await change({ promptTokens: wrong })).toMatchObject({ verdict: "fail", reason: "miscounted" });
    }
  });

  it("fails on every artifact but the canonical one", async () => {
    const { artifact } = sent.delivered;
    const bad = [
      new Uint8Array(),
      artifact.slice(0, -1),
      Uint8Array.of(...artifact, 0),
      flipped(artifact),
      flipped(artifact, 1),
    ];
    for (const bytes of bad)
      expect(await change({ artifact: bytes })).toMatchObject({ verdict: "fail", reason: "artifact" });
    for (let at = 2; at < artifact.length; at += 7) {
      expect((await change({ artifact: flipped(artifact, at) })).verdict, `byte ${at}`).toBe("fail");
    }
  });

  it("fails on an artifact that hides what it would be compared by", async () => {
    // Every alternative claimed to be impossible.
    const bare = positionsOf(sent).map(({ id, values }) => ({
      id,
      rank: 0,
      values: values.slice(0, 5).map((v, i) => (i ? -9 : v)),
    }));
    expect(await score(recommit(sent, bare))).toMatchObject({ verdict: "fail", reason: "distance" });
    const coarse = recommit(sent, positionsOf(sent), { step: "1/16", k: 5 });
    expect(await score(coarse)).toMatchObject({ verdict: "fail", reason: "artifact" });
  });

  it("fails on tokens that the artifact does not have, or that do not exist", async () => {
    const { tokenIds } = sent.delivered;
    expect((await change({ tokenIds: tokenIds.with(3, tokenIds[3] === 300 ? 301 : 300) })).verdict).toBe("fail");
    expect(await change({ tokenIds: tokenIds.with(0, 2048) })).toMatchObject({ reason: "token_outside_vocabulary" });
    expect((await change({ tokenIds: tokenIds.slice(1) })).verdict).toBe("fail");
  });

  it("fails on an answer that is cut short, padded or wrongly ended", async () => {
    const short = recommit(sent, positionsOf(sent).slice(0, 30));
    expect(await score(short)).toMatchObject({ verdict: "fail", reason: "finish" });
    const claims = { ...short, delivered: { ...short.delivered, finishReason: "stop" as const } };
    expect(await score(claims)).toMatchObject({ verdict: "fail", reason: "finish" });
    const sequence = { ...short, delivered: { ...short.delivered, finishReason: "stop_sequence" as const } };
    expect(await score(sequence)).toMatchObject({ verdict: "fail", reason: "finish" });
    const asked = { input: TEXT, maxTokens: 40, stop: [] };
    expect(await score({ ...sent, asked })).toMatchObject({ verdict: "fail", reason: "finish" });
  });

  it("fails on fields that cannot be read", async () => {
    expect(await score({ ...sent, delivered: { malformed: "artifact" } })).toMatchObject({
      verdict: "fail",
      p_bucket: 10,
    });
  });
});

describe("what is no evidence", () => {
  it("is abstained from", async () => {
    const sent = await deliver(honest);
    expect(await scoreAnswer({ engine: honest, profile: undefined, prefills: new Prefills() }, sent)).toMatchObject({
      verdict: "abstain",
      reason: "no_profile",
    });
    const foreign = { ...profile, weightsSha256: "0".repeat(64) };
    expect(await score(sent, foreign)).toMatchObject({ verdict: "abstain", reason: "profile_of_other_weights" });
    expect((await score({ ...sent, asked: { malformed: "messages" } })).verdict).toBe("abstain");
    const huge = { input: { prompt: "word ".repeat(1_100) }, maxTokens: 64, stop: [] };
    const promptIds = await honest.render(huge.input);
    const tooLong = {
      ...sent,
      asked: huge,
      delivered: { ...sent.delivered, promptHash: promptHash(promptIds), promptTokens: promptIds.length },
    };
    const result = await score(recommit(tooLong, positionsOf(tooLong)));
    expect(result).toMatchObject({ verdict: "abstain", reason: "context_length_exceeded" });
  });
});

/** Honest vectors pass, another model's fail, and nothing malformed is ever a pass: with the real small models. */
import { fromBase64 } from "@karat/common";
import {
  bytesToHex,
  DEFAULT_SAMPLING,
  decodeVectors,
  encodeVectors,
  type Profile,
  SKETCH_CODING,
  sha256,
  sketchOf,
  unitVector,
  valuesAgree,
  valuesRoot,
  valuesWindows,
  vectorsRoot,
} from "@karat/rules";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { launder, swap } from "../attack/attack.ts";
import { collect } from "../collect.ts";
import type { InferenceEngine } from "../engine/engine.ts";
import { createLlamaEngine, type LlamaEngineOptions } from "../engine/llama/llamaEngine.ts";
import { promptHash } from "./artifact.ts";
import { embedding, vectorArtifact } from "./embedding.ts";
import { prefillEmbedding, scoreEmbeddingAnswer } from "./embeddingScore.ts";
import { Prefills } from "./prefills.ts";
import { loadProfile } from "./profile.ts";
import type { Delivered, ScoreRequest } from "./scoreRequest.ts";

const models = new URL("../../../models/", import.meta.url).pathname;
const open = (file: string, more: Partial<LlamaEngineOptions> = {}): Promise<InferenceEngine> =>
  createLlamaEngine({ modelPath: `${models}${file}.gguf`, id: "karat-tiny", contextSize: 1024, ...more });

let honest: InferenceEngine;
let other: InferenceEngine;
let q8: InferenceEngine;
let q4: InferenceEngine;
let mini: InferenceEngine;
let profile: Profile;

beforeAll(async () => {
  [honest, other, q8, q4, mini] = await Promise.all([
    open("karat-tiny-f16"),
    // Every 64-bit machine runs it, and none takes it by itself.
    open("karat-tiny-f16", { cpuVariant: "x64", batchSize: 16 }),
    open("karat-tiny-q8_0"),
    open("karat-tiny-q4_0"),
    open("karat-mini-f16"),
  ]);
  profile = await loadProfile(`${models}profiles/karat-tiny-f16.json`);
});
afterAll(() => Promise.all([honest, other, q8, q4, mini].map((engine) => engine?.close())));

const TEXTS = ["Return the absolute value of a number.", "os.path.join(path)", "The following options are available"];
const inferenceId = new Uint8Array(32).fill(9);
type Sent = ScoreRequest & { delivered: Delivered };

/** Has an executor embed and deliver, and makes the validator's request of it. */
async function deliver(executor: InferenceEngine, texts: readonly string[] = TEXTS): Promise<Sent> {
  const end = (await collect(embedding(executor, texts))).at(-1);
  if (end?.type !== "end") throw new Error("no end");
  const { artifact, root } = vectorArtifact(end, inferenceId);
  return {
    model: "karat-tiny",
    sampling: DEFAULT_SAMPLING,
    seed: new Uint8Array(32),
    inferenceId,
    asked: { texts },
    prefixIds: [],
    pooled: [],
    delivered: {
      tokenIds: end.tokenIds,
      finishReason: "length",
      artifact,
      artifactRoot: root,
      outputHash: sha256(new Uint8Array()),
      promptHash: promptHash(end.promptIds),
      promptTokens: end.promptIds.length,
    },
  };
}

const contextOf = (engine: InferenceEngine, by: Profile | undefined = profile) => ({
  engine,
  profile: by,
  prefills: new Prefills(),
});
const score = (request: ScoreRequest) => scoreEmbeddingAnswer(contextOf(honest), request);

/** The same vectors but one, committed to as they are. */
function withVector(sent: Sent, index: number, change: (vector: Float32Array) => Float32Array): Sent {
  const { artifact, promptHash: hash } = sent.delivered;
  const dimensions = 160;
  const vectors = decodeVectors(artifact, { count: TEXTS.length, dimensions });
  const changed = encodeVectors(vectors.with(index, change(vectors[index]!)));
  const artifactRoot = vectorsRoot({ inferenceId, promptHash: hash, dimensions, artifact: changed });
  return { ...sent, delivered: { ...sent.delivered, artifact: changed, artifactRoot } };
}

describe("an embedding", () => {
  it("passes when its vectors are the declared model's, by whatever machine", async () => {
    for (const executor of [honest, other, launder(honest, q4)]) {
      expect(await score(await deliver(executor))).toMatchObject({ verdict: "pass", reason: "ok" });
    }
    const many = Array.from({ length: 40 }, (_, i) => `${TEXTS[i % 3]} ${i}`);
    expect((await score(await deliver(other, many))).verdict).toBe("pass");
  });

  it("fails when they are another quantisation's or another model's, one among several too", async () => {
    for (const substitute of [q8, q4]) {
      const result = await score(await deliver(swap(honest, substitute)));
      expect(result).toMatchObject({ verdict: "fail", reason: "distance" });
      expect((await score(await deliver(swap(honest, substitute), ["a"]))).verdict).toBe("fail");
    }
    // Of another size, or of its own model under the declared name.
    expect(await score(await deliver(swap(honest, mini)))).toMatchObject({ verdict: "fail", reason: "artifact" });
    const moved = withVector(await deliver(honest), 1, (vector) =>
      unitVector(vector.map((c, i) => c + (i % 7) * 1e-3)),
    );
    expect(await score(moved)).toMatchObject({ verdict: "fail", reason: "distance" });
  });

  it("shows on request how far each vector is", async () => {
    const sent = withVector(await deliver(honest), 1, (vector) => unitVector(vector.map((c, i) => c + (i % 7) * 1e-3)));
    const { distances, statistics } = await score({ ...sent, detail: true });
    expect(distances).toHaveLength(3);
    expect(distances!.indexOf(Math.max(...distances!))).toBe(1);
    expect(statistics.distancePeak).toBe(distances![1]);
    expect(statistics.positions).toBe(3);
  });

  it.each<[string, (sent: Sent) => Partial<Delivered> | undefined, string]>([
    ["other texts", () => ({ promptHash: new Uint8Array(32) }), "prompt_hash"],
    ["more tokens than were read", (sent) => ({ promptTokens: sent.delivered.promptTokens + 1 }), "miscounted"],
    ["a text", () => ({ outputHash: sha256(new Uint8Array(1)) }), "output_hash"],
    ["an end that it has not", () => ({ finishReason: "stop" }), "finish"],
    ["other tokens", (sent) => ({ tokenIds: sent.delivered.tokenIds.toReversed() }), "token_ids"],
    ["a token too few", (sent) => ({ tokenIds: sent.delivered.tokenIds.slice(1) }), "token_ids"],
    ["tokens before it was broken off", () => ({ finishReason: "cancelled" }), "finish"],
    ["another root", () => ({ artifactRoot: new Uint8Array(32) }), "artifact_root"],
    ["a vector too few", (sent) => ({ artifact: sent.delivered.artifact.slice(0, -640) }), "artifact"],
    ["no vectors", () => ({ artifact: new Uint8Array() }), "artifact"],
  ])("is impossible with %s", async (_, change, reason) => {
    const sent = await deliver(honest);
    const changed = { ...sent, delivered: { ...sent.delivered, ...change(sent) } };
    expect(await score(changed)).toMatchObject({ verdict: "fail", reason, p_bucket: 10 });
  });

  it("goes behind no prefix, and cannot be told where it was broken off", async () => {
    const sent = await deliver(honest);
    expect(await score({ ...sent, prefixIds: [5] })).toMatchObject({ verdict: "fail", reason: "prefix" });
    const broken = { ...sent.delivered, finishReason: "cancelled", tokenIds: [] } as const;
    expect(await score({ ...sent, delivered: broken })).toMatchObject({ verdict: "abstain", reason: "short" });
  });

  it("is abstained from where nothing is known of honest vectors, or nobody could have answered", async () => {
    const sent = await deliver(honest);
    const { embedding: _, ...without } = profile;
    for (const by of [undefined, without]) {
      const result = await scoreEmbeddingAnswer({ ...contextOf(honest), profile: by }, sent);
      expect(result).toMatchObject({ verdict: "abstain", reason: "no_profile" });
    }
    const foreign = { ...profile, weightsSha256: "00".repeat(32) };
    expect((await scoreEmbeddingAnswer(contextOf(honest, foreign), sent)).reason).toBe("profile_of_other_weights");
    const { embeddingDimensions: __, ...info } = honest.info();
    const wordsOnly: InferenceEngine = { ...swap(honest, honest), info: () => info };
    expect((await scoreEmbeddingAnswer(contextOf(wordsOnly), sent)).verdict).toBe("abstain");
    expect((await score({ ...sent, asked: { malformed: "input" } })).verdict).toBe("abstain");
    expect((await score({ ...sent, asked: { texts: Array(1_639).fill("a") } })).verdict).toBe("abstain");
    expect((await score({ ...sent, asked: { texts: ["word ".repeat(90_000)] } })).verdict).toBe("abstain");
  });

  it("is judged with earlier ones of its executor, and never with texts", async () => {
    const [sent, pooled] = [await deliver(honest, ["a"]), await deliver(honest, ["b", "c"])];
    const text: Sent = { ...sent, asked: { input: { prompt: "a" }, maxTokens: 1, stop: [] } };
    expect((await score({ ...sent, pooled: [pooled, text] })).statistics.positions).toBe(3);
    const swapped = await deliver(swap(honest, q8), ["d"]);
    expect((await score({ ...sent, pooled: [pooled, swapped] })).verdict).toBe("fail");
    const wrong = { ...pooled, delivered: { ...pooled.delivered, promptTokens: 0 } };
    expect((await score({ ...sent, pooled: [wrong] })).reason).toBe("miscounted");
  });
});

describe("a blind check of an embedding", () => {
  it("sees sketches of its own vectors before the artifact, and makes them once", async () => {
    let made = 0;
    const counting: InferenceEngine = {
      ...swap(honest, honest),
      embed: (job, signal) => {
        made++;
        return honest.embed(job, signal);
      },
    };
    const context = contextOf(counting);
    const sent = await deliver(other);
    const own = await prefillEmbedding(context, sent);
    if ("verdict" in own) throw new Error(own.reason);
    const windows = own.windows.map(fromBase64);
    expect(own).toMatchObject({ positions: 3, gated_margins: 0 });
    expect(own.values_hash).toBe(bytesToHex(valuesRoot(windows, 3)));
    expect((await scoreEmbeddingAnswer(context, sent)).verdict).toBe("pass");
    expect(made).toBe(1);

    const view = async (engine: InferenceEngine): Promise<Uint8Array> => {
      const vectors = (await collect(embedding(engine, TEXTS))).at(-1);
      if (vectors?.type !== "end") throw new Error("no end");
      return valuesWindows(vectors.vectors.map(sketchOf), SKETCH_CODING)[0]!;
    };
    expect(valuesAgree(windows[0]!, await view(other), 3)).toBe(true);
    expect(valuesAgree(windows[0]!, await view(mini), 3)).toBe(false);
  });

  it("gives the verdict at once where no artifact could change it", async () => {
    const sent = await deliver(honest);
    const { artifact: _, artifactRoot: __, ...output } = sent.delivered;
    const wrong = await prefillEmbedding(contextOf(honest), { ...sent, delivered: { ...output, promptTokens: 1 } });
    expect(wrong).toMatchObject({ verdict: "fail", reason: "miscounted" });
  });
});

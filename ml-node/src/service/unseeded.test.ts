/** Executors whose server chooses the tokens by itself: served over vLLM's wire, checked with the models that a cheat would run instead. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { utf8 } from "@karat/common";
import { DEFAULT_SAMPLING, type Profile, sha256 } from "@karat/rules";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { launder } from "../attack/attack.ts";
import { collect } from "../collect.ts";
import type { InferenceEngine } from "../engine/engine.ts";
import { createLlamaEngine } from "../engine/llama/llamaEngine.ts";
import { createOpenAiEngine, type OpenAiEngine } from "../engine/openai/openaiEngine.ts";
import { serveSglang, serveVllm, type WireServer } from "../engine/openai/testing/wireServers.ts";
import { answer } from "./answer.ts";
import { buildArtifact, codingOf, promptHash } from "./artifact.ts";
import { Prefills } from "./prefills.ts";
import { loadProfile } from "./profile.ts";
import type { ScoreRequest } from "./scoreRequest.ts";
import { prefillAnswer, scoreAnswer } from "./scoring.ts";
import { openSubstitutes } from "./substitutes.ts";

const models = new URL("../../../models/", import.meta.url).pathname;
const modelPath = `${models}karat-tiny-f16.gguf`;
const open = (path: string, id: string): Promise<InferenceEngine> => createLlamaEngine({ modelPath: path, id });

let declared: InferenceEngine;
let profile: Profile;
let substitutes: InferenceEngine[];
let wire: WireServer;
let server: OpenAiEngine;

beforeAll(async () => {
  declared = await open(modelPath, "karat-tiny");
  profile = await loadProfile(`${models}profiles/karat-tiny-f16.unseeded.json`);
  substitutes = await openSubstitutes(profile, declared.info().vocabularySize, models, open);
  wire = await serveVllm(declared, { maxLogprobs: 64, plugin: false });
  server = await createOpenAiEngine({ baseUrl: wire.url, modelPath, id: "karat-tiny", serverSamples: true });
});
afterAll(async () => {
  await wire?.close();
  await Promise.all([declared, server, ...(substitutes ?? [])].map((engine) => engine?.close()));
});

const LENGTH = 100;

/** Some answers of one executor, each of the whole length. */
async function delivered(
  executor: InferenceEngine,
  count: number,
  temperatureMicros = 900_000,
): Promise<ScoreRequest[]> {
  const requests: ScoreRequest[] = [];
  for (let i = 0; requests.length < count && i < 6 * count; i++) {
    const input = { prompt: `The following function number ${i}` };
    const bound = {
      sampling: { ...DEFAULT_SAMPLING, temperatureMicros },
      seed: sha256(utf8(`unseeded ${i}`)),
      inferenceId: new Uint8Array(32).fill(i),
    };
    const coding = codingOf(profile);
    const asked = { input, maxTokens: LENGTH, stop: [] };
    const events = await collect(answer(executor, { ...asked, ...bound, topLogprobs: 0, recordTop: coding.k }));
    const end = events.at(-1);
    if (end?.type !== "end" || end.tokenIds.length !== LENGTH) continue;
    const { artifact, root } = buildArtifact(coding, end, bound);
    const { tokenIds, finishReason } = end;
    const output = {
      tokenIds,
      finishReason,
      outputHash: sha256(utf8(end.text)),
      promptHash: promptHash(end.promptIds),
      promptTokens: end.promptIds.length,
    };
    const sent = { ...output, artifact, artifactRoot: root };
    requests.push({ model: "karat-tiny", ...bound, asked, prefixIds: [], pooled: [], delivered: sent });
  }
  return requests;
}

const score = (request: ScoreRequest, by = profile) =>
  scoreAnswer({ engine: declared, profile: by, prefills: new Prefills(), substitutes }, request);

describe("a server that chooses the tokens by itself", () => {
  it("is said to, and answers with one call", () => {
    expect(server.capabilities).toMatchObject({ generation: "server", checks: ["D", "S"] });
  });

  it("passes by its unseeded profile, and would not by one of tokens bound to the seed", async () => {
    const requests = await delivered(server, 6);
    const bound = await loadProfile(`${models}profiles/karat-tiny-f16.json`);
    for (const request of requests) {
      const result = await score(request);
      expect(result).toMatchObject({ verdict: "pass" });
      expect(result.statistics).toMatchObject({ drawnPositions: LENGTH, gatedMargins: 0 });
      expect(await score(request, bound)).toMatchObject({ verdict: "fail", reason: "sampling" });
    }
  });

  it("is found where a smaller model wrote, and the declared one only scored", async () => {
    const mini = substitutes.find((engine) => engine.info().id === "karat-mini-f16")!;
    const [first, ...others] = await delivered(launder(declared, mini), 4);
    expect(await score({ ...first!, pooled: others })).toMatchObject({ verdict: "fail", reason: "sampling" });
  });

  it("is checked blindly as all others are", async () => {
    const [request] = await delivered(server, 1);
    const prefills = new Prefills();
    const context = { engine: declared, profile, prefills, substitutes };
    const {
      artifact: _,
      artifactRoot: __,
      ...output
    } = request!.delivered as Extract<ScoreRequest["delivered"], { artifact: Uint8Array }>;
    expect(await prefillAnswer(context, { ...request!, delivered: output })).toMatchObject({ positions: LENGTH });
    const made = prefills.size;
    expect(await scoreAnswer(context, request!)).toMatchObject({ verdict: "pass" });
    expect(prefills.size).toBe(made);
  });

  it("is refused where the server has no such way", async () => {
    const sglang = await serveSglang(declared);
    try {
      const connecting = createOpenAiEngine({ baseUrl: sglang.url, modelPath, id: "x", serverSamples: true });
      await expect(connecting).rejects.toMatchObject({ code: "engine_unsupported" });
    } finally {
      await sglang.close();
    }
  });
});

describe("the models that an unseeded profile names", () => {
  it("are none where tokens are bound to the seed", async () => {
    const bound = await loadProfile(`${models}profiles/karat-tiny-f16.json`);
    expect(await openSubstitutes(bound, 2_048, models, open)).toEqual([]);
  });

  it("are refused where they are missing or other ones", async () => {
    const folder = mkdtempSync(join(tmpdir(), "karat-substitutes-"));
    try {
      const size = declared.info().vocabularySize;
      await expect(openSubstitutes(profile, size, folder, open)).rejects.toMatchObject({ code: "substitute_missing" });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
    const [first] = profile.unseeded!.substitutes;
    const other = {
      ...profile,
      unseeded: { ...profile.unseeded!, substitutes: [{ ...first!, name: "karat-tiny-q8_0" }] },
    };
    await expect(openSubstitutes(other, declared.info().vocabularySize, models, open)).rejects.toMatchObject({
      code: "substitute_missing",
    });
    await expect(openSubstitutes(profile, 17, models, open)).rejects.toMatchObject({ code: "substitute_missing" });
  });
});

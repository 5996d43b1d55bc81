/** What every engine must do. Call from a test file with a way to create the engine; it serves a small chat model. */
import { DEFAULT_SAMPLING, sample, vectorDistance } from "@karat/rules";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { collect } from "../collect.ts";
import type { GeneratedToken, GenerateJob, InferenceEngine } from "./engine.ts";

const CHAT = { messages: [{ role: "user", content: "What does os.path.join() do?" }] } as const;

export function describeEngine(name: string, create: () => Promise<InferenceEngine>): void {
  // Some engines answer over HTTP, token by token.
  describe(`${name} as an inference engine`, { timeout: 120_000 }, () => {
    let engine: InferenceEngine;
    let promptIds: number[];

    beforeAll(async () => {
      engine = await create();
      promptIds = await engine.render(CHAT);
    });
    afterAll(() => engine?.close());

    const job = (overrides: Partial<GenerateJob> = {}): GenerateJob => ({
      promptIds,
      maxTokens: 40,
      sampling: { ...DEFAULT_SAMPLING, temperatureMicros: 900_000 },
      seed: new Uint8Array(32).fill(3),
      top: 64,
      ...overrides,
    });
    const generate = (overrides?: Partial<GenerateJob>): Promise<GeneratedToken[]> =>
      collect(engine.generate(job(overrides)));
    const ids = (tokens: readonly GeneratedToken[]): number[] => tokens.map((token) => token.id);

    it("describes its model", () => {
      const info = engine.info();
      expect(info.weightsSha256).toMatch(/^[0-9a-f]{64}$/);
      expect(info.vocabularySize).toBe(engine.vocabulary.size);
      expect(info.contextLength).toBeGreaterThan(0);
      expect(info.capacity).toBeGreaterThan(0);
      expect(engine.state()).toBe("ready");
      expect(engine.vocabulary.stopTokenIds.length).toBeGreaterThan(0);
    });

    it("renders a chat with control tokens that a user cannot type", async () => {
      const stop = engine.vocabulary.stopTokenIds.map((id) => engine.vocabulary.nameOf(id)).join("");
      const plain = await engine.render({ messages: [{ role: "user", content: "Hi" }] });
      const injected = await engine.render({ messages: [{ role: "user", content: `Hi${stop}` }] });
      const controls = (all: readonly number[]): number =>
        all.filter((id) => engine.vocabulary.bytesOf(id).length === 0).length;
      expect(injected.length).toBeGreaterThan(plain.length);
      expect(controls(injected)).toBe(controls(plain));
      expect(await engine.render({ messages: [{ role: "user", content: "Hi" }] })).toEqual(plain);
    });

    it("gives the bytes that a text was made of", async () => {
      const text = "Return the path — naïve €5 in `os.path`.\n";
      const bytes = (await engine.render({ prompt: text })).flatMap((id) => [...engine.vocabulary.bytesOf(id)]);
      expect(Buffer.from(bytes).toString("utf8")).toBe(text);
    });

    it("takes token ids as they are and refuses those outside the vocabulary", async () => {
      expect(await engine.render({ prompt: [5, 6, 7] })).toEqual([5, 6, 7]);
      await expect(engine.render({ prompt: [engine.vocabulary.size] })).rejects.toMatchObject({
        code: "invalid_prompt",
      });
      await expect(engine.render({ prompt: [-1] })).rejects.toMatchObject({ code: "invalid_prompt" });
    });

    it("gives the same tokens and log-probabilities for the same seed, others for another", async () => {
      const first = await generate();
      expect(await generate()).toEqual(first);
      expect(ids(await generate({ seed: new Uint8Array(32).fill(4) }))).not.toEqual(ids(first));
    });

    it("chooses the tokens that the seed demands, with penalties", async () => {
      const sampling = {
        ...DEFAULT_SAMPLING,
        temperatureMicros: 700_000,
        frequencyPenaltyMicros: 500_000,
        topPMicros: 950_000,
      };
      const counts = new Map<number, number>();
      for (const [position, token] of (await generate({ sampling })).entries()) {
        const logits = token.top.map((entry) => [entry.id, entry.logprob] as const);
        expect(sample(sampling, job().seed, position, logits, counts)).toBe(token.id);
        counts.set(token.id, (counts.get(token.id) ?? 0) + 1);
      }
    });

    it("goes on behind a prefix with the tokens that it would have given, penalties included", async () => {
      const sampling = { ...DEFAULT_SAMPLING, temperatureMicros: 700_000, frequencyPenaltyMicros: 300_000 };
      const whole = ids(await generate({ sampling }));
      for (const cut of [1, 5, whole.length - 1]) {
        const prefixIds = whole.slice(0, cut);
        expect(ids(await generate({ sampling, prefixIds }))).toEqual(whole.slice(cut));
      }
      // Forced, not checked: behind another token the sampler goes on at the same position.
      const other = await generate({ sampling, prefixIds: [whole[0]! === 5 ? 6 : 5] });
      expect(other.length).toBeLessThanOrEqual(39);
    });

    it("refuses a prefix that cannot be continued", async () => {
      for (const prefixIds of [
        engine.vocabulary.stopTokenIds.slice(0, 1),
        [engine.vocabulary.size],
        Array(40).fill(5),
      ]) {
        await expect(generate({ prefixIds })).rejects.toMatchObject({ code: "invalid_prompt" });
      }
    });

    it("says that it has taken a job before its first token, and never when it refuses", async () => {
      const calls: string[] = [];
      for await (const _ of engine.generate(job({ maxTokens: 2, onAccepted: () => calls.push("accepted") }))) {
        calls.push("token");
      }
      expect(calls).toEqual(["accepted", "token", "token"]);
      const refused = generate({ maxTokens: 1_000_000, onAccepted: () => calls.push("accepted") });
      await expect(refused).rejects.toMatchObject({ code: "context_length_exceeded" });
      expect(calls).toHaveLength(3);
    });

    it("takes the most likely token at temperature 0", async () => {
      const tokens = await generate({ sampling: { ...DEFAULT_SAMPLING, temperatureMicros: 0 }, top: 3 });
      for (const token of tokens) {
        expect(token.id).toBe(token.top[0]?.id);
        expect(token.top).toHaveLength(3);
        expect(token.logprob).toBeLessThanOrEqual(0);
      }
    });

    it("stops after a stop token, or at the wanted length", async () => {
      const stops = new Set(engine.vocabulary.stopTokenIds);
      const tokens = ids(await generate({ sampling: { ...DEFAULT_SAMPLING, temperatureMicros: 0 }, maxTokens: 400 }));
      expect(stops.has(tokens.at(-1)!)).toBe(true);
      expect(tokens.slice(0, -1).some((id) => stops.has(id))).toBe(false);
      expect(await generate({ maxTokens: 3 })).toHaveLength(3);
    });

    it("refuses what does not fit its context before evaluating it", async () => {
      const { contextLength } = engine.info();
      const tooLong = { maxTokens: contextLength - promptIds.length };
      await expect(generate(tooLong)).rejects.toMatchObject({
        code: "context_length_exceeded",
        data: { prompt_tokens: promptIds.length, max_tokens: tooLong.maxTokens, context_length: contextLength },
      });
      const outputIds = new Array<number>(contextLength).fill(5);
      await expect(engine.score({ promptIds, outputIds, top: 5 })).rejects.toMatchObject({
        code: "context_length_exceeded",
      });
      const book = "word ".repeat(contextLength * engine.vocabulary.longest);
      await expect(engine.render({ prompt: book })).rejects.toMatchObject({ code: "context_length_exceeded" });
      await expect(generate({ promptIds: [] })).rejects.toMatchObject({ code: "invalid_prompt" });
    });

    it("scores an answer by one prefill close to what generating it reported", async () => {
      const tokens = await generate({ maxTokens: 60, seed: new Uint8Array(32).fill(9) });
      const positions = await engine.score({ promptIds, outputIds: ids(tokens), top: 70 });
      expect(positions).toHaveLength(tokens.length);
      for (const [i, token] of tokens.entries()) {
        const own = new Map(positions[i]!.map((entry) => [entry.id, entry.logprob]));
        expect(own.size).toBe(positions[i]!.length);
        expect([...own.keys()]).toEqual(expect.arrayContaining([token.id]));
        for (const { id, logprob } of token.top.slice(0, 20))
          expect(Math.abs(own.get(id)! - logprob)).toBeLessThan(0.2);
        const sorted = positions[i]!.map((entry) => entry.logprob);
        expect(sorted).toEqual(sorted.toSorted((a, b) => b - a));
      }
    });

    it("scores sequences that are longer than a batch", async () => {
      const outputIds = Array.from(
        { length: engine.info().contextLength - 1 - promptIds.length },
        (_, i) => 5 + (i % 200),
      );
      const positions = await engine.score({ promptIds, outputIds, top: 2 });
      expect(positions).toHaveLength(outputIds.length);
      for (const [i, position] of positions.entries()) {
        expect(position.map((entry) => entry.id)).toContain(outputIds[i]);
      }
    });

    it("answers several at once, each as if it were alone", async () => {
      const seeds = [11, 12, 13, 14].map((value) => new Uint8Array(32).fill(value));
      const alone: number[][] = [];
      for (const seed of seeds) alone.push(ids(await generate({ seed })));
      const together = await Promise.all(seeds.map((seed) => generate({ seed })));
      // Batching moves logits by rounding errors, which seldom decide a token.
      const same = together.filter((tokens, i) => ids(tokens).join() === alone[i]!.join()).length;
      expect(same).toBeGreaterThanOrEqual(2);
    });

    it("gives a text the same vector of length 1, alone or among others, or says that it gives none", async () => {
      const texts = ["os.path.join(path)", "Return the absolute value of a number.", "The following functions"];
      const inputs = await Promise.all(texts.map((prompt) => engine.render({ prompt, whole: true })));
      const dimensions = engine.info().embeddingDimensions;
      if (dimensions === undefined) {
        await expect(engine.embed({ inputs })).rejects.toMatchObject({
          code: "invalid_request",
          data: { param: "input" },
        });
        return;
      }
      const calls: string[] = [];
      const vectors = await engine.embed({ inputs, onAccepted: () => calls.push("accepted") });
      expect(calls).toEqual(["accepted"]);
      expect(vectors.map(({ length }) => length)).toEqual(texts.map(() => dimensions));
      const none = new Float32Array(dimensions);
      for (const vector of vectors) expect(vectorDistance(vector, none)).toBeCloseTo(1, 5);
      const [reversed, alone] = await Promise.all([
        engine.embed({ inputs: inputs.toReversed() }),
        engine.embed({ inputs: [inputs[1]!] }),
        generate({ maxTokens: 20 }),
      ]);
      const again = [...reversed.toReversed(), alone[0]!];
      for (const [i, vector] of [...vectors, vectors[1]!].entries()) {
        expect(vectorDistance(again[i]!, vector)).toBeLessThan(0.01);
      }
      expect(vectorDistance(vectors[0]!, vectors[1]!)).toBeGreaterThan(0.05);
    });

    it("embeds what fits its context, to the last token, and nothing longer", async () => {
      const { contextLength, embeddingDimensions } = engine.info();
      if (embeddingDimensions === undefined) return;
      const long = await engine.render({ prompt: "word ".repeat(contextLength - 2), whole: true });
      const fitting = long.slice(0, contextLength - 2);
      const [vector, shorter] = await engine.embed({ inputs: [fitting, [...fitting.slice(0, -1), fitting[1]! + 1]] });
      expect(vectorDistance(vector!, shorter!)).toBeGreaterThan(0.01);
      await expect(engine.embed({ inputs: [[5], long.slice(0, contextLength - 1)] })).rejects.toMatchObject({
        code: "context_length_exceeded",
      });
      for (const inputs of [[], [[]], [[engine.vocabulary.size]]]) {
        await expect(engine.embed({ inputs })).rejects.toMatchObject({ code: "invalid_prompt" });
      }
    });

    it("stops embedding when the caller aborts, and is free again", async () => {
      if (engine.info().embeddingDimensions === undefined) return;
      const ids = await engine.render({ prompt: "word ".repeat(400), whole: true });
      const controller = new AbortController();
      // More than could be done before the abort.
      const many = engine.embed({ inputs: Array(2_000).fill(ids) }, controller.signal);
      setTimeout(() => controller.abort(), 50);
      await expect(many).rejects.toMatchObject({ code: "cancelled" });
      const waited = engine.embed({ inputs: [ids] }, AbortSignal.abort());
      await expect(waited).rejects.toMatchObject({ code: "cancelled" });
      await expect.poll(() => engine.load()).toEqual({ running: 0, waiting: 0 });
      await expect(engine.embed({ inputs: [ids] })).resolves.toHaveLength(1);
    });

    it("stops when the caller leaves the loop or aborts, and is free again", async () => {
      for await (const _ of engine.generate(job({ maxTokens: 500 }))) break;
      const controller = new AbortController();
      const aborted = (async () => {
        for await (const _ of engine.generate(job({ maxTokens: 500 }), controller.signal)) controller.abort();
      })();
      await expect(aborted).rejects.toMatchObject({ code: "cancelled" });
      await expect(generate({ maxTokens: 2 })).resolves.toHaveLength(2);
      await expect.poll(() => engine.load()).toEqual({ running: 0, waiting: 0 });
    });
  });
}

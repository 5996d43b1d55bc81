/** Vectors through the network: what is served, refused, charged, and asked of others when an executor gives none that hold. */
import { fromBase64, sha256, toBase64, toHex } from "@karat/common";
import { inference, sign } from "@karat/proto";
import { decodeVectors, encodeVectors, requestHash, sanitizeEmbedding } from "@karat/rules";
import OpenAI from "openai";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type EmbeddingEnd, type MlScript, vectorOf } from "../testing/fakeMlNode.ts";
import { TEST_DIMENSIONS, TEST_MODEL } from "../testing/fakeView.ts";
import { TestNetwork, type TestParticipant } from "../testing/testNetwork.ts";

let network: TestNetwork;
beforeEach(() => {
  network = new TestNetwork();
});
afterEach(() => network.close());

const sdk = ({ url }: TestParticipant): OpenAI =>
  new OpenAI({ baseURL: `${url}/v1`, apiKey: network.apiKey, maxRetries: 0 });
const input = ["The first text", "and another"];
const ask = (me: TestParticipant, more: object = {}, headers: Record<string, string> = {}) =>
  sdk(me).embeddings.create({ model: TEST_MODEL, input, ...more }, { headers });

interface Karat {
  inference_id: string;
  executor: string;
  request_hash: string;
  response: string;
  cost: string;
  attempts: number;
  usage: { prompt_tokens: number; completion_tokens: number };
}
type Answer = OpenAI.CreateEmbeddingResponse & { readonly karat: Karat };
const receiptOf = (answer: OpenAI.CreateEmbeddingResponse): Karat => (answer as Answer).karat;
const vectorsOf = (answer: OpenAI.CreateEmbeddingResponse): number[][] => answer.data.map(({ embedding }) => embedding);
const expected = (texts: readonly string[] = input): number[][] => texts.map((text) => [...vectorOf(text)]);

describe("an embedding", () => {
  test("comes as base64, which the openai package asks for, and as numbers, with the same components", async () => {
    const me = await network.join();
    const asBytes = await ask(me);
    const asNumbers = await ask(me, { encoding_format: "float" });
    const raw = await fetch(`${me.url}/v1/embeddings`, {
      method: "POST",
      headers: { authorization: `Bearer ${network.apiKey}` },
      body: JSON.stringify({ model: TEST_MODEL, input, stream: false, user: "u" }),
    });
    const plain = (await raw.json()) as Answer;
    for (const answer of [asBytes, asNumbers, plain]) {
      expect(vectorsOf(answer)).toEqual(expected());
      expect(answer).toMatchObject({ object: "list", model: TEST_MODEL });
      expect(answer.data.map(({ index, object }) => [index, object])).toEqual([
        [0, "embedding"],
        [1, "embedding"],
      ]);
    }
  });

  test("is an inference of one token for each input, recorded and charged as such", async () => {
    const me = await network.join();
    const answer = await ask(me);
    const karat = receiptOf(answer);
    const { prompt_tokens: prompt, total_tokens: total } = answer.usage;
    expect(karat.usage).toEqual({ prompt_tokens: prompt, completion_tokens: 2 });
    expect(total).toBe(prompt + 2);
    // 1 ukarat for each token of input and 2 for each vector
    expect(karat.cost).toBe(String(prompt + 2 * 2));
    expect(karat.request_hash).toBe(toHex(requestHash(sanitizeEmbedding({ model: TEST_MODEL, input }))));
    expect(me.ml.bodies[0]).toMatchObject({ input, max_tokens: 2 });
    expect(me.ml.bodies[0]).not.toHaveProperty("prompt");
    expect(me.records.map(({ kind }) => kind).sort()).toEqual(["delivery", "finish", "start"]);
    const finish = inference.FinishRecord.decode(me.records.find(({ kind }) => kind === "finish")!.record);
    expect(finish).toMatchObject({ completionTokens: 2, finishReason: sign.FinishReason.LENGTH, tokenIds: [0, 1] });
    expect([finish.output.length, finish.artifact.length]).toEqual([0, 0]);
    const response = fromBase64(karat.response);
    const payload = me.payloads.find(({ hash }) => toHex(hash) === toHex(sha256(response)))!;
    const { artifact, artifactRoot } = inference.FinishRecord.decode(payload.bytes);
    expect(decodeVectors(artifact, { count: 2, dimensions: TEST_DIMENSIONS })).toEqual(input.map(vectorOf));
    expect(sign.ResponseReceipt.decode(response).artifactRoot).toEqual(artifactRoot);
    expect(await me.metrics.render()).toMatch(/karat_requests_total\{endpoint="embeddings",code="ok"\} 1/);
  });

  test("comes from a peer, whose artifact the transfer agent keeps, too", async () => {
    const me = await network.join({ refuse: { status: 429, code: "overloaded" } });
    const peer = await network.join();
    const answer = await ask(me);
    expect(vectorsOf(answer)).toEqual(expected());
    expect(receiptOf(answer).executor).toBe(peer.identity.operator);
    const root = toHex(sha256(fromBase64(receiptOf(answer).response)));
    expect(me.payloads.map(({ hash }) => toHex(hash))).toContain(root);
    expect(peer.payloads.map(({ hash }) => toHex(hash))).toContain(root);
  });

  test("of a model by another name", async () => {
    const me = await network.join({}, { aliases: new Map([["text-embedding-3-small", TEST_MODEL]]) });
    const answer = await ask(me, { model: "text-embedding-3-small", input: "one" });
    expect([answer.model, vectorsOf(answer)]).toEqual([TEST_MODEL, expected(["one"])]);
  });

  test("asked for again under an idempotency key is the same and charged once, in the encoding of the first time", async () => {
    const me = await network.join();
    const key = { "idempotency-key": "order-7" };
    const first = await ask(me, {}, key);
    expect(await ask(me, {}, key)).toEqual(first);
    expect(me.ml.begun).toBe(1);
    const mismatch = { status: 422, code: "idempotency_mismatch" };
    await expect(ask(me, { encoding_format: "float" }, key)).rejects.toMatchObject(mismatch);
    await expect(ask(me, { input: "other" }, key)).rejects.toMatchObject(mismatch);
  });

  test("of a node whose ML nodes cannot embed is another's", async () => {
    const me = await network.join();
    const peer = await network.join();
    const [member] = me.pool.states();
    Object.assign(member!.models[0]!, { embedding: undefined });
    for (let tries = 0; tries < 10; tries++) {
      expect(receiptOf(await ask(me)).executor).toBe(peer.identity.operator);
    }
    expect(me.ml.begun).toBe(0);
  });
});

describe("a request for embeddings is refused", () => {
  test("of a model that is declared to give none", async () => {
    const me = await network.join();
    network.view.embeddingDimensions = 0;
    await expect(ask(me)).rejects.toMatchObject({ status: 404, code: "model_not_found", param: "model" });
    await expect(ask(me, { model: "other" })).rejects.toMatchObject({ status: 404, code: "model_not_found" });
  });

  test.each<[string, object, string]>([
    ["without input", { input: [] }, "input"],
    ["with an empty text", { input: ["a", ""] }, "input"],
    ["with token ids", { input: [[1, 2]] }, "input"],
    ["with more dimensions than the model's", { dimensions: TEST_DIMENSIONS + 1 }, "dimensions"],
    ["as a stream", { stream: true }, "stream"],
    ["in an encoding that there is not", { encoding_format: "int8" }, "encoding_format"],
  ])("%s", async (_name, fields, param) => {
    const me = await network.join();
    await expect(ask(me, fields)).rejects.toMatchObject({ status: 400, code: "invalid_request", param });
    expect((await ask(me, { dimensions: TEST_DIMENSIONS })).data).toHaveLength(2);
  });

  test("with more vectors than one answer holds, and told how many it does", async () => {
    const me = await network.join();
    network.view.embeddingDimensions = 8_192;
    const most = 262_144 / 8_192;
    const refused = ask(me, { input: Array.from({ length: most + 1 }, () => "a") });
    await expect(refused).rejects.toMatchObject({ status: 400, code: "invalid_request", param: "input" });
    await expect(refused).rejects.toThrow(String(most));
  });
});

describe("how long its texts are", () => {
  test("is not counted where their bytes fit the context, each by itself", async () => {
    const me = await network.join();
    await ask(me, { input: ["x".repeat(1_000), "y".repeat(1_000)] });
    expect(me.ml.counted).toBe(0);
  });

  test("is counted where one may not fit, and one that does not is refused", async () => {
    const me = await network.join();
    await ask(me, { input: ["short", "x".repeat(2_000)] });
    expect(me.ml).toMatchObject({ counted: 1, begun: 1 });
    const refused = ask(me, { input: ["short", "x".repeat(5_000)] });
    await expect(refused).rejects.toMatchObject({ status: 400, code: "context_length_exceeded", param: "input" });
    expect(me.ml.begun).toBe(1);
  });

  test("is counted where they may be too long together, and refused where they are", async () => {
    const me = await network.join();
    const long = (count: number): string[] => Array.from({ length: count }, () => "x".repeat(1_000));
    expect((await ask(me, { input: long(100) })).data).toHaveLength(100);
    expect(me.ml).toMatchObject({ counted: 1, begun: 1 });
    const refused = ask(me, { input: long(300) });
    await expect(refused).rejects.toMatchObject({ status: 400, code: "invalid_request", param: "input" });
    expect(me.ml.begun).toBe(1);
  });

  test("counts for the client's tokens per minute, as do its vectors", async () => {
    const me = await network.join({}, { limits: { tokensPerMinute: 1_000, now: () => 0 } });
    const { usage } = await ask(me);
    const { response } = await sdk(me).embeddings.create({ model: TEST_MODEL, input: "x" }).withResponse();
    const bound = 1_000 - usage.total_tokens - Number(response.headers.get("x-ratelimit-remaining-tokens"));
    expect([bound > 1, bound < 10]).toEqual([true, true]);
  });

  test("is counted near the end of the deposit", async () => {
    const me = await network.join();
    network.view.fund(network.client, 20n);
    await ask(me);
    expect(me.ml).toMatchObject({ counted: 1, begun: 1 });
    const refused = ask(me, { input: ["x".repeat(200)] });
    await expect(refused).rejects.toMatchObject({ status: 402, code: "insufficient_deposit" });
  });

  test("that is more than was reckoned for the tokeniser's own is found by the executor, and then counted", async () => {
    const me = await network.join({ templateTokens: 30 });
    await network.join({ templateTokens: 30 });
    const { usage } = await ask(me);
    expect(usage.prompt_tokens).toBe(2 * 30 + 4 + 4);
    expect(me.ml.counted).toBe(1);
  });
});

/** An end with other vectors than those that it signs for. */
const sending =
  (change: (vectors: Float32Array[]) => Float32Array[]) =>
  (end: EmbeddingEnd): object => {
    const vectors = decodeVectors(fromBase64(end.artifact), { count: input.length, dimensions: TEST_DIMENSIONS });
    return { ...end, artifact: toBase64(encodeVectors(change(vectors))) };
  };

describe("an executor that gives no vectors that hold is passed over, and the next one of the same draw is asked", () => {
  const faults: [string, Partial<MlScript>][] = [
    ["dies before its end", { dieAfter: 0 }],
    ["tells an error before its end", { failAfter: 0 }],
    ["writes what is no line", { garbleAfter: 0 }],
    ["falls silent", { hangAfter: 0 }],
    ["sends other vectors than it signs for", { spoil: sending((vectors) => vectors.toReversed()) }],
    ["changes one component", { spoil: sending(([a, b]) => [a!.with(0, 0.5), b!]) }],
    ["leaves one out", { embed: (texts) => texts.slice(1).map(vectorOf) }],
    [
      "gives one that is not of length 1",
      { embed: (texts) => texts.map((text) => vectorOf(text).map((each) => 2 * each)) },
    ],
    ["counts other tokens", { spoil: (end) => ({ ...end, token_ids: [1] }) }],
    ["ends for another reason", { spoil: (end) => ({ ...end, finish_reason: "stop" }) }],
    ["gives text beside them", { spoil: (end) => ({ ...end, text: "Hello" }) }],
    ["gives tokens in their place", { spoil: () => ({ type: "token", id: 1, text: "a", bytes: [97], top: [] }) }],
  ];
  test.each(faults)("%s", async (_name, script) => {
    const me = await network.join({}, script.hangAfter === undefined ? {} : { idleMs: 1_000 });
    const bad = await network.join(script);
    let answer = await ask(me);
    for (let tries = 0; bad.ml.begun === 0 && tries < 100; tries++) answer = await ask(me);
    expect(bad.ml.begun).toBe(1);
    expect(vectorsOf(answer)).toEqual(expected());
    const karat = receiptOf(answer);
    expect([karat.executor, karat.attempts]).toEqual([me.identity.operator, 2]);
    // One order: the chain takes one start of it, which names who answered.
    const own = me.records.filter(({ inferenceId }) => toHex(inferenceId) === karat.inference_id);
    expect(own.map(({ kind }) => kind).sort()).toEqual(["delivery", "finish", "start"]);
    const start = own.find(({ kind }) => kind === "start")!;
    expect(start.decides).toBe(true);
    expect(inference.StartRecord.decode(start.record).skips).toHaveLength(1);
  });

  test("ends while its model embeds", async () => {
    const me = await network.join();
    const bad = await network.join({ hangAfter: 0 });
    const begun = async (): Promise<void> => vi.waitFor(() => expect(bad.ml.begun).toBe(1));
    for (let tries = 0; bad.ml.begun === 0 && tries < 100; tries++) {
      const asking = ask(me);
      await Promise.race([asking, begun()]);
      if (bad.ml.begun > 0) await bad.node.close();
      expect(receiptOf(await asking).executor).toBe(me.identity.operator);
    }
    expect(bad.ml.begun).toBe(1);
  });

  test("and where nobody else is, the client is told so", async () => {
    const me = await network.join({ embed: (texts) => texts.slice(1).map(vectorOf) });
    await expect(ask(me)).rejects.toMatchObject({ status: 503, code: "no_executor" });
    expect(me.records.some(({ kind }) => kind === "delivery")).toBe(false);
  });
});

test("a client that leaves before it has its vectors has none, and is charged for none", async () => {
  const me = await network.join({ hangAfter: 0 });
  const leave = new AbortController();
  const asking = sdk(me).embeddings.create({ model: TEST_MODEL, input }, { signal: leave.signal });
  await vi.waitFor(() => expect(me.ml.begun).toBe(1));
  leave.abort();
  await expect(asking).rejects.toThrow("aborted");
  await vi.waitFor(() => expect(me.ml.cancelled).toBe(1));
  expect(me.records).toEqual([]);
});

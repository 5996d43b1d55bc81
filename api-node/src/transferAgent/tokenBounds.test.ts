/** A prompt's tokens are counted only where their bytes are too near a limit to tell. */
import OpenAI from "openai";
import { afterEach, beforeEach, expect, test } from "vitest";
import { TEST_MODEL } from "../testing/fakeView.ts";
import { TestNetwork, type TestParticipant } from "../testing/testNetwork.ts";

let network: TestNetwork;
beforeEach(() => {
  network = new TestNetwork();
});
afterEach(() => network.close());

const ask = ({ url }: TestParticipant, content: string, maxTokens = 10): Promise<OpenAI.ChatCompletion> =>
  new OpenAI({ baseURL: `${url}/v1`, apiKey: network.apiKey, maxRetries: 0 }).chat.completions.create({
    model: TEST_MODEL,
    messages: [{ role: "user", content }],
    max_tokens: maxTokens,
  });

test("far from every limit nothing is counted, and the usage is that of the executor's receipt", async () => {
  const me = await network.join();
  const { usage } = await ask(me, "Say hello.");
  expect(usage).toMatchObject({ prompt_tokens: 10, completion_tokens: 4 });
  expect(me.ml).toMatchObject({ counted: 0, begun: 1 });
});

test("near the end of the context they are counted", async () => {
  const me = await network.join();
  await ask(me, "x".repeat(2_000));
  expect(me.ml).toMatchObject({ counted: 1, begun: 1 });
});

test("near what this node takes they are counted", async () => {
  const me = await network.join({}, { maxPromptTokens: 200 });
  await ask(me, "x".repeat(500));
  expect(me.ml).toMatchObject({ counted: 1, begun: 1 });
  const refused = ask(me, "x".repeat(900));
  await expect(refused).rejects.toMatchObject({ status: 400, code: "context_length_exceeded" });
  expect(me.ml).toMatchObject({ counted: 2, begun: 1 });
});

test("near the end of the deposit they are counted", async () => {
  const me = await network.join();
  network.view.fund(network.client, 60n);
  await ask(me, "Say hello.");
  expect(me.ml).toMatchObject({ counted: 1, begun: 1 });
  const refused = ask(me, "Say hello.", 30);
  await expect(refused).rejects.toMatchObject({ status: 402, code: "insufficient_deposit" });
  expect(me.ml.begun).toBe(1);
});

test("near the end of the client's tokens per minute they are counted", async () => {
  const me = await network.join({}, { limits: { tokensPerMinute: 100 } });
  await ask(me, "Say hello.");
  expect(me.ml.counted).toBe(0);
  await ask(me, "Say hello.");
  expect(me.ml.counted).toBe(1);
});

test("a template longer than is reckoned for one is found by the executor, and then they are counted", async () => {
  const me = await network.join({ templateTokens: 300 });
  await network.join({ templateTokens: 300 });
  const { usage } = await ask(me, "Say hello.");
  expect(usage?.prompt_tokens).toBe(310);
  expect(me.ml.counted).toBe(1);
});

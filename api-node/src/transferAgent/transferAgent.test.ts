import { verifyDelivery } from "@karat/client";
import { fromBase64, sha256, toHex, utf8 } from "@karat/common";
import { inference } from "@karat/proto";
import { canonicalJson, sanitizeRequest } from "@karat/rules";
import OpenAI from "openai";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { TEST_MODEL } from "../testing/fakeView.ts";
import { TestNetwork } from "../testing/testNetwork.ts";

let network: TestNetwork;
beforeEach(() => {
  network = new TestNetwork();
});
afterEach(() => network.close());

const sdk = (url: string, apiKey = network.apiKey) => new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 });
const question = { model: TEST_MODEL, messages: [{ role: "user" as const, content: "Say hello." }] };

interface Karat {
  inference_id: string;
  executor: string;
  receipt: string;
  signature: string;
  cost: string;
  attempts: number;
  usage: { prompt_tokens: number; completion_tokens: number };
}

function checkReceipt(karat: Karat, text: string, nodeKey: Uint8Array): void {
  const requestHash = sha256(utf8(canonicalJson(sanitizeRequest(question))));
  const receipt = verifyDelivery({
    requestHash,
    text,
    receipt: fromBase64(karat.receipt),
    signature: fromBase64(karat.signature),
    nodeKey,
  });
  expect(toHex(receipt.inferenceId)).toBe(karat.inference_id);
  expect(receipt.cost.toString()).toBe(karat.cost);
}

describe("an answer", () => {
  test("comes whole through the openai package, with a receipt the client can check", async () => {
    const me = await network.join();
    const { data, response } = await sdk(me.url).chat.completions.create(question).withResponse();
    expect(data.choices[0]?.message.content).toBe("Hello world");
    expect(data.choices[0]?.finish_reason).toBe("stop");
    const { karat } = data as unknown as { karat: Karat };
    checkReceipt(karat, "Hello world", me.identity.publicKey);
    expect(karat.usage.completion_tokens).toBe(4);
    // 1 ukarat for each prompt token and 2 for each of the answer
    expect(Number(karat.cost)).toBe(karat.usage.prompt_tokens + 2 * 4);
    expect(response.headers.get("x-karat-inference-id")).toBe(karat.inference_id);
    expect(response.headers.get("x-karat-executor")).toBe(me.identity.operator);
    expect(response.headers.get("x-karat-attempts")).toBe("1");
    expect(response.headers.get("x-request-id")).toMatch(/^req_/);
    expect(me.records.map(({ kind }) => kind).sort()).toEqual(["delivery", "finish", "start"]);
  });

  test("that is not streamed may have its tokens told several at a time, by its own ML node and a peer's", async () => {
    const me = await network.join();
    const peer = await network.join();
    for (const stream of [true, false]) {
      const before = [me, peer].map(({ ml }) => ml.begun);
      const both = () => [me, peer].every(({ ml }, i) => ml.begun > before[i]!);
      for (let tries = 0; tries < 100 && !both(); tries++) {
        const answer = await fetch(`${me.url}/v1/chat/completions`, {
          method: "POST",
          headers: { authorization: `Bearer ${network.apiKey}` },
          body: JSON.stringify({ ...question, stream }),
        });
        expect(await answer.text()).toContain(stream ? "[DONE]" : "Hello world");
      }
      for (const { ml } of [me, peer]) expect(ml.bodies.at(-1)?.stream).toBe(stream ? undefined : false);
    }
  });

  test("streams from a peer, with usage and the receipt on the last event", async () => {
    const me = await network.join({ refuse: { status: 429, code: "overloaded" } });
    const peer = await network.join();
    const stream = await sdk(me.url).chat.completions.create({
      ...question,
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks: OpenAI.ChatCompletionChunk[] = [];
    for await (const chunk of stream) chunks.push(chunk);
    expect(chunks[0]?.choices[0]?.delta.role).toBe("assistant");
    const text = chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join("");
    expect(text).toBe("Hello world");
    expect(chunks.slice(0, -1).every(({ usage }) => usage === null)).toBe(true);
    const last = chunks.at(-1) as unknown as { karat: Karat; usage: { completion_tokens: number } };
    expect(last.usage.completion_tokens).toBe(4);
    checkReceipt(last.karat, text, me.identity.publicKey);
    expect(last.karat.executor).toBe(peer.identity.operator);
    expect(peer.records.map(({ kind }) => kind)).toEqual(["start", "finish"]);
    expect(me.records.map(({ kind }) => kind)).toEqual(["start", "delivery"]);
    const start = inference.StartRecord.decode(me.records[0]!.record);
    expect(start.skips.length).toBe(last.karat.attempts - 1);
  });

  test("of /v1/completions streams and comes whole", async () => {
    const me = await network.join();
    const whole = await sdk(me.url).completions.create({ model: TEST_MODEL, prompt: "Say", logprobs: 1 });
    expect(whole.choices[0]?.text).toBe("Hello world");
    expect(whole.choices[0]?.logprobs?.tokens).toEqual(["Hel", "lo", " world", ""]);
    let text = "";
    const stream = await sdk(me.url).completions.create({ model: TEST_MODEL, prompt: "Say", stream: true });
    for await (const chunk of stream) text += chunk.choices[0]!.text;
    expect(text).toBe("Hello world");
  });

  test("uses the connections to the ML node again", async () => {
    const me = await network.join();
    for (let i = 0; i < 8; i++) await sdk(me.url).chat.completions.create(question);
    expect(me.ml.begun).toBe(8);
    expect(me.ml.connections).toBeLessThanOrEqual(4);
  });

  test("to a request with an idempotency key is computed and charged once", async () => {
    const me = await network.join();
    const once = { headers: { "idempotency-key": "order-7" } };
    const first = await sdk(me.url).chat.completions.create(question, once);
    const again = await sdk(me.url).chat.completions.create(question, once);
    expect(again).toEqual(first);
    expect(me.ml.begun).toBe(1);
    const other = sdk(me.url).chat.completions.create({ ...question, top_p: 0.5 }, once);
    await expect(other).rejects.toMatchObject({ status: 422, code: "idempotency_mismatch" });
  });
});

/** Defects that other gateways have or had, each tried here under its name. */
import { encodeApiKey } from "@karat/client";
import { type Logger, newPrivateKey } from "@karat/common";
import OpenAI from "openai";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { TEST_MODEL } from "../testing/fakeView.ts";
import { TestNetwork, type TestParticipant } from "../testing/testNetwork.ts";

let network: TestNetwork;
beforeEach(() => {
  network = new TestNetwork();
});
afterEach(() => network.close());

const question = { model: TEST_MODEL, messages: [{ role: "user" as const, content: "Say hello." }] };
const sdk = ({ url }: TestParticipant): OpenAI =>
  new OpenAI({ baseURL: `${url}/v1`, apiKey: network.apiKey, maxRetries: 0 });
const post = (me: TestParticipant, body: string, apiKey = network.apiKey): Promise<Response> =>
  fetch(`${me.url}/v1/chat/completions`, { method: "POST", headers: { authorization: `Bearer ${apiKey}` }, body });

describe("an error within an answer turned into an empty success (LiteLLM #40578)", () => {
  test("streamed, it is thrown by the SDK behind the text so far", async () => {
    const me = await network.join({ failAfter: 2 });
    let text = "";
    const read = async (): Promise<void> => {
      const stream = await sdk(me).chat.completions.create({ ...question, stream: true });
      for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
    };
    await expect(read()).rejects.toMatchObject({ code: "executor_failed" });
    expect(text).toBe("Hello");
  });

  test("not streamed, it is a 502", async () => {
    const me = await network.join({ failAfter: 2 });
    await expect(sdk(me).chat.completions.create(question)).rejects.toMatchObject({
      status: 502,
      code: "executor_failed",
    });
  });
});

test.each([
  ["an error", { failAfter: 0 }],
  ["a cut connection", { dieAfter: 0 }],
  ["something that is no answer", { garbleAfter: 0 }],
])("%s before the first token dropped, so that a stream is only [DONE] (vLLM #40986)", async (_name, script) => {
  const me = await network.join(script);
  const response = await post(me, JSON.stringify({ ...question, stream: true }));
  expect(response.status).toBe(503);
  expect(await response.json()).toMatchObject({ error: { code: "no_executor", type: "server_error", param: null } });
});

test.each([
  ["a death", { dieAfter: 2 }],
  ["something that is no answer", { garbleAfter: 2 }],
])(
  "%s in the middle of a stream closing it without an error event (any-llm #847, goose #8027)",
  async (_name, script) => {
    const me = await network.join(script);
    const blocks = (await (await post(me, JSON.stringify({ ...question, stream: true }))).text()).split("\n\n");
    expect(JSON.parse(blocks.at(-3)!.slice(6))).toMatchObject({ error: { code: "executor_failed" } });
    expect(blocks.slice(-2)).toEqual(["data: [DONE]", ""]);
  },
);

test.each([
  ["streamed", true],
  ["not streamed", false],
])("a client that leaves not cancelling its computation, %s (production-stack #867, #634)", async (_name, stream) => {
  const me = await network.join({ tokens: Array.from({ length: 500 }, () => "x"), delayMs: 10 });
  const controller = new AbortController();
  const asked = fetch(`${me.url}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${network.apiKey}` },
    body: JSON.stringify({ ...question, stream }),
    signal: controller.signal,
  }).then((response) => response.text());
  asked.catch(() => undefined);
  await vi.waitFor(() => expect(me.ml.begun).toBe(1));
  controller.abort();
  await expect(asked).rejects.toMatchObject({ name: "AbortError" });
  await vi.waitFor(() => expect(me.ml.cancelled).toBe(1));
});

test.each([
  ["its own ML node", false],
  ["a peer", true],
])("a line of more than 64 KiB cut off or refused (Gonka): 1 MiB from %s", async (_name, remote) => {
  const long = "long ".repeat(210_000);
  const me = await network.join(remote ? { refuse: { status: 429, code: "overloaded" } } : { tokens: [long, "end"] });
  if (remote) await network.join({ tokens: [long, "end"] });
  const stream = await sdk(me).chat.completions.create({ ...question, stream: true });
  let text = "";
  for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
  expect(text === `${long}end`).toBe(true);
});

test("tokens kept back until a buffer is full (Gonka)", async () => {
  const me = await network.join({ hangAfter: 1 });
  const stream = await sdk(me).chat.completions.create({ ...question, stream: true });
  const texts: string[] = [];
  for await (const chunk of stream) {
    texts.push(chunk.choices[0]?.delta.content ?? "");
    if (texts.at(-1) === "Hel") break; // there is nothing behind it that could push it out
  }
  expect(texts).toEqual(["", "Hel"]);
});

test("content as a list of parts not understood (Gonka)", async () => {
  const me = await network.join();
  const content = [
    { type: "text" as const, text: "Say" },
    { type: "text" as const, text: "hello." },
  ];
  await sdk(me).chat.completions.create({ model: TEST_MODEL, messages: [{ role: "user", content }] });
  expect(me.ml.bodies[0]?.messages).toEqual([{ role: "user", content: "Say\nhello." }]);
});

test("models listed in a shape of its own (Gonka)", async () => {
  const me = await network.join();
  const list = (await (await fetch(`${me.url}/v1/models`)).json()) as Record<string, unknown>;
  expect(Object.keys(list).sort()).toEqual(["data", "object"]);
  expect(list).toMatchObject({ object: "list", data: [{ id: TEST_MODEL, object: "model", owned_by: "karat" }] });
});

test("every stream a 500 as installed (Portkey #1389, #1550)", async () => {
  const me = await network.join();
  const response = await post(me, JSON.stringify({ ...question, stream: true }));
  expect([response.status, response.headers.get("content-type")]).toEqual([200, "text/event-stream; charset=utf-8"]);
  expect((await response.text()).endsWith("data: [DONE]\n\n")).toBe(true);
});

test("an error page written into a stream that has begun (Gonka)", async () => {
  const me = await network.join({ failAfter: 2 });
  const text = await (await post(me, JSON.stringify({ ...question, stream: true }))).text();
  for (const block of text.split("\n\n").filter((line) => line !== ""))
    expect(block).toMatch(/^data: (\{.*\}|\[DONE\])$/);
});

test("errors in a shape of its own (Gonka)", async () => {
  const me = await network.join();
  const error = { message: expect.any(String), type: "invalid_request_error", param: null, code: "invalid_json" };
  expect(await (await post(me, "{")).json()).toEqual({ error });
});

test("prompt tokens guessed from the length of the text (Gonka)", async () => {
  const me = await network.join();
  const { usage } = await sdk(me).chat.completions.create(question);
  const { messages } = me.ml.bodies[0]!;
  // As the ML node's tokeniser counts them.
  expect(usage?.prompt_tokens).toBe(Math.ceil(JSON.stringify(messages).length / 4));
});

test("every chunk logged (Gonka)", async () => {
  const lines: string[] = [];
  const keep = (data: Record<string, unknown>, message: string): void => {
    lines.push(`${message} ${JSON.stringify(data)}`);
  };
  const log: Logger = { debug: keep, info: keep, warn: keep, error: keep, child: () => log };
  const me = await network.join({ tokens: Array.from({ length: 300 }, () => "x") }, {}, { log });
  const stream = await sdk(me).chat.completions.create({ ...question, stream: true });
  let chunks = 0;
  for await (const _ of stream) chunks++;
  expect(chunks).toBeGreaterThan(300);
  expect(lines.length).toBeLessThan(20);
  expect(lines.join("")).not.toContain("Say hello");
});

test("no Prometheus (Gonka)", async () => {
  const me = await network.join();
  await sdk(me).chat.completions.create(question);
  await vi.waitFor(async () => {
    const text = await me.metrics.render();
    expect(text).toContain('karat_requests_total{endpoint="chat",code="ok"} 1');
    expect(text).toContain('karat_tokens_total{kind="completion"} 4');
    expect(text).toMatch(/^# TYPE karat_time_to_first_token_seconds histogram$/m);
  });
});

test("only chat completions and models exist (Gonka)", async () => {
  const me = await network.join();
  const openai = sdk(me);
  const text = await openai.completions.create({ model: TEST_MODEL, prompt: "Say hello." });
  expect(text.choices[0]?.text).toBe("Hello world");
  const response = await openai.responses.create({ model: TEST_MODEL, input: "Say hello." });
  expect(response.output_text).toBe("Hello world");
});

test("an executor that cannot be reached told to the client instead of asking the next (Gonka)", async () => {
  const me = await network.join();
  const gone = await network.join();
  await gone.node.close();
  for (let i = 0; i < 6; i++) {
    const answer = await sdk(me).chat.completions.create(question);
    expect(answer.choices[0]?.message.content).toBe("Hello world");
  }
});

describe("what a retry cannot cure answered so that SDKs try again (409, 429, 5xx)", () => {
  const long = { ...question, messages: [{ role: "user", content: "x".repeat(5_000) }] };
  const cases: [string, number, string, string?][] = [
    ["a body that is not JSON", 400, "{"],
    ["a field of the wrong type", 400, JSON.stringify({ ...question, top_p: "high" })],
    ["a field that is not offered", 400, JSON.stringify({ ...question, n: 3 })],
    ["a prompt that is too long", 400, JSON.stringify(long)],
    ["a wrong key", 401, JSON.stringify(question), "sk-wrong"],
    ["an empty deposit", 402, JSON.stringify(question), encodeApiKey(newPrivateKey())],
    ["an unknown model", 404, JSON.stringify({ ...question, model: "other" })],
    ["a body that is too large", 413, "x".repeat(4 * 1024 * 1024 + 1)],
  ];
  test.each(cases)("%s", async (_name, status, body, apiKey) => {
    const me = await network.join();
    const response = await post(me, body, apiKey);
    expect(response.status).toBe(status);
    const { error } = (await response.json()) as { error: Record<string, unknown> };
    expect(Object.keys(error)).toEqual(expect.arrayContaining(["message", "type", "param", "code"]));
  });
});

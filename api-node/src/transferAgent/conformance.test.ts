/** Every object that a client is sent, against the fields that OpenAI's API description requires of it. */
import { createHash } from "node:crypto";
import OpenAI from "openai";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { TEST_MODEL } from "../testing/fakeView.ts";
import { TestNetwork } from "../testing/testNetwork.ts";

let network: TestNetwork;
beforeEach(() => {
  network = new TestNetwork();
});
afterEach(() => network.close());

const unixTime = z.int().min(1_600_000_000);
const finishReason = z.enum(["stop", "length", "tool_calls", "content_filter", "function_call"]);
const byteList = z.array(z.int().min(0).max(255)).nullable();
const alternative = z.strictObject({ token: z.string(), logprob: z.number(), bytes: byteList });
const tokenLogprob = z.strictObject({ ...alternative.shape, top_logprobs: z.array(alternative) });
/** Null is allowed, the key has to be there. */
const chatLogprobs = z
  .strictObject({ content: z.array(tokenLogprob).nullable(), refusal: z.array(tokenLogprob).nullable() })
  .nullable();
const usage = z
  .strictObject({ prompt_tokens: z.int().min(1), completion_tokens: z.int().min(0), total_tokens: z.int().min(1) })
  .refine((sum) => sum.total_tokens === sum.prompt_tokens + sum.completion_tokens);
const errorObject = z.looseObject({
  message: z.string().min(1),
  type: z.string().min(1),
  param: z.string().nullable(),
  code: z.string().nullable(),
});
/** The one field that is Karat's own. */
const karat = z.looseObject({ inference_id: z.string(), receipt: z.string(), signature: z.string() });

const chatCompletion = z.strictObject({
  id: z.string().startsWith("chatcmpl-"),
  object: z.literal("chat.completion"),
  created: unixTime,
  model: z.literal(TEST_MODEL),
  system_fingerprint: z.string().startsWith("fp_"),
  choices: z
    .array(
      z.strictObject({
        index: z.literal(0),
        finish_reason: finishReason,
        logprobs: chatLogprobs,
        message: z.strictObject({
          role: z.literal("assistant"),
          content: z.string().nullable(),
          refusal: z.string().nullable(),
        }),
      }),
    )
    .length(1),
  usage,
  karat,
});
const chatChunk = z.strictObject({
  id: z.string().startsWith("chatcmpl-"),
  object: z.literal("chat.completion.chunk"),
  created: unixTime,
  model: z.literal(TEST_MODEL),
  system_fingerprint: z.string().startsWith("fp_"),
  choices: z
    .array(
      z.strictObject({
        index: z.literal(0),
        delta: z.strictObject({ role: z.literal("assistant").optional(), content: z.string().optional() }),
        logprobs: chatLogprobs,
        finish_reason: finishReason.nullable(),
      }),
    )
    .max(1),
  usage: usage.nullable().optional(),
  karat: karat.optional(),
});
const textLogprobs = z
  .strictObject({
    tokens: z.array(z.string()),
    token_logprobs: z.array(z.number()),
    top_logprobs: z.array(z.record(z.string(), z.number())).nullable(),
    text_offset: z.array(z.int().min(0)),
  })
  .refine((lists) => lists.tokens.length === lists.token_logprobs.length)
  .refine((lists) => lists.tokens.length === lists.text_offset.length)
  .nullable();
const textChoice = { index: z.literal(0), text: z.string(), logprobs: textLogprobs };
const textHeader = {
  id: z.string().startsWith("cmpl-"),
  object: z.literal("text_completion"),
  created: unixTime,
  model: z.literal(TEST_MODEL),
  system_fingerprint: z.string().startsWith("fp_"),
};
const textCompletion = z.strictObject({
  ...textHeader,
  choices: z.array(z.strictObject({ ...textChoice, finish_reason: finishReason })).length(1),
  usage,
  karat,
});
const textChunk = z.strictObject({
  ...textHeader,
  choices: z.array(z.strictObject({ ...textChoice, finish_reason: finishReason.nullable() })).max(1),
  usage: usage.nullable().optional(),
  karat: karat.optional(),
});

async function post(path: string, body: object): Promise<Response> {
  const me = await network.join();
  return await fetch(`${me.url}/v1/${path}`, {
    method: "POST",
    headers: { authorization: `Bearer ${network.apiKey}`, "content-type": "application/json" },
    body: JSON.stringify({ model: TEST_MODEL, ...body }),
  });
}

/** The events of a stream as bytes on the wire: `data: {json}` with an empty line behind, `[DONE]` last. */
async function events(response: Response): Promise<unknown[]> {
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toMatch(/^text\/event-stream/);
  const blocks = (await response.text()).split("\n\n");
  expect(blocks.pop()).toBe("");
  expect(blocks.pop()).toBe("data: [DONE]");
  return blocks.map((block) => {
    expect(block).toMatch(/^data: \{[^\n]*\}$/);
    return JSON.parse(block.slice(6));
  });
}

const CHAT = { messages: [{ role: "user", content: "Say hello." }] };
const TEXT = { prompt: "Say" };

describe.each([
  ["without log-probabilities", {}, {}],
  ["with log-probabilities", { logprobs: true, top_logprobs: 1 }, { logprobs: 1 }],
  [
    "with usage in the stream",
    { stream_options: { include_usage: true } },
    { stream_options: { include_usage: true } },
  ],
])("%s", (_name, chatOptions, textOptions) => {
  const whole = <T extends object>({ stream_options: _left, ...options }: T & { stream_options?: unknown }) => options;

  test("a chat completion has exactly the fields of the schema", async () => {
    const answer = await (await post("chat/completions", { ...CHAT, ...whole(chatOptions) })).json();
    const { choices } = chatCompletion.parse(answer);
    expect(choices[0]!.logprobs === null).toBe(!("logprobs" in chatOptions));
  });

  test("every chunk of a chat completion does, in the order that readers need", async () => {
    const chunks = (await events(await post("chat/completions", { ...CHAT, ...chatOptions, stream: true }))).map(
      (event) => chatChunk.parse(event),
    );
    expect(new Set(chunks.map(({ id, created }) => `${id} ${created}`)).size).toBe(1);
    expect(chunks[0]!.choices[0]!.delta).toEqual({ role: "assistant", content: "" });
    const withChoice = chunks.filter(({ choices }) => choices.length === 1);
    const reasons = withChoice.map(({ choices }) => choices[0]!.finish_reason);
    expect(reasons.at(-1)).toBe("stop");
    expect(reasons.slice(0, -1).every((reason) => reason === null)).toBe(true);
    expect(withChoice.at(-1)!.choices[0]!.delta).toEqual({});
    checkUsage(chunks, "stream_options" in chatOptions);
  });

  test("a text completion has exactly the fields of the schema", async () => {
    const answer = await (await post("completions", { ...TEXT, ...whole(textOptions) })).json();
    const { choices } = textCompletion.parse(answer);
    expect(choices[0]!.logprobs === null).toBe(!("logprobs" in textOptions));
  });

  test("every chunk of a text completion does", async () => {
    const chunks = (await events(await post("completions", { ...TEXT, ...textOptions, stream: true }))).map((event) =>
      textChunk.parse(event),
    );
    const reasons = chunks.flatMap(({ choices }) => choices.map(({ finish_reason: reason }) => reason));
    expect(reasons.at(-1)).toBe("stop");
    expect(reasons.slice(0, -1).every((reason) => reason === null)).toBe(true);
    checkUsage(chunks, "stream_options" in textOptions);
  });
});

/** Asked for: null on every chunk but one more, without a choice, before `[DONE]`. Not asked for: nowhere. */
function checkUsage(
  chunks: readonly { usage?: unknown; choices: readonly unknown[]; karat?: unknown }[],
  asked: boolean,
) {
  const last = chunks.at(-1)!;
  if (asked) {
    expect(chunks.slice(0, -1).every((chunk) => chunk.usage === null)).toBe(true);
    expect(last.choices).toEqual([]);
    expect(usage.parse(last.usage).completion_tokens).toBe(4);
  } else expect(chunks.every((chunk) => !("usage" in chunk))).toBe(true);
  expect(chunks.filter((chunk) => chunk.karat !== undefined)).toEqual([last]);
}

test("the stream helper of the openai package accepts the stream and puts the answer together", async () => {
  const me = await network.join();
  const openai = new OpenAI({ baseURL: `${me.url}/v1`, apiKey: network.apiKey, maxRetries: 0 });
  const runner = openai.chat.completions.stream({
    model: TEST_MODEL,
    messages: [{ role: "user", content: "Say hello." }],
    logprobs: true,
    top_logprobs: 1,
    stream_options: { include_usage: true },
  });
  const deltas: string[] = [];
  runner.on("content", (delta) => deltas.push(delta));
  const final = await runner.finalChatCompletion();
  expect(deltas.join("")).toBe("Hello world");
  expect(final.choices[0]?.message).toMatchObject({ role: "assistant", content: "Hello world" });
  expect(final.choices[0]?.finish_reason).toBe("stop");
  expect(final.choices[0]?.logprobs?.content).toHaveLength(4);
  expect(final.usage).toMatchObject({ completion_tokens: 4 });
});

describe("functions that the model may call", () => {
  const tool = { type: "function" as const, function: { name: "weather", parameters: { type: "object" } } };
  const text = 'Let me see. <tool_call>\n{"name": "weather", "arguments": {"city": "Zürich {"}}\n</tool_call>';
  const tokens = [...text.match(/[\s\S]{1,3}/g)!, ""];
  const ask = { model: TEST_MODEL, messages: [{ role: "user" as const, content: "Weather?" }], tools: [tool] };

  test("are called in a plain answer and in a stream alike, and the receipt is of the text as it was written", async () => {
    const me = await network.join({ tokens });
    const openai = new OpenAI({ baseURL: `${me.url}/v1`, apiKey: network.apiKey, maxRetries: 0 });
    const plain = await openai.chat.completions.create(ask);
    const { message, finish_reason } = plain.choices[0]!;
    expect([message.content, finish_reason]).toEqual(["Let me see. ", "tool_calls"]);
    expect(message.tool_calls).toMatchObject([
      { type: "function", function: { name: "weather", arguments: '{"city": "Zürich {"}' } },
    ]);
    const receipt = z.looseObject({ text: z.string(), output_hash: z.string() });
    const { karat: told } = z.looseObject({ karat: receipt }).parse(plain);
    expect(told.text).toBe(text);
    expect(told.output_hash).toBe(createHash("sha256").update(text).digest("hex"));

    const final = await openai.chat.completions.stream(ask).finalChatCompletion();
    expect(final.choices[0]!.message.content).toBe("Let me see. ");
    expect(final.choices[0]!.message.tool_calls?.[0]).toMatchObject({
      type: "function",
      function: { name: "weather", arguments: '{"city": "Zürich {"}' },
    });
    expect(final.choices[0]!.finish_reason).toBe("tool_calls");
    expect(me.ml.bodies[0]).toMatchObject({
      tools: [{ function: { name: "weather", parameters: '{"type":"object"}' } }],
    });
  });

  test("and were not offered are text, whatever it looks like", async () => {
    const me = await network.join({ tokens });
    const openai = new OpenAI({ baseURL: `${me.url}/v1`, apiKey: network.apiKey, maxRetries: 0 });
    const { tools: _tools, ...bare } = ask;
    const { message, finish_reason } = (await openai.chat.completions.create(bare)).choices[0]!;
    expect([message.content, message.tool_calls, finish_reason]).toEqual([text, undefined, "stop"]);
  });
});

test("an error within a stream is an error object with all four keys, which the stream helper throws", async () => {
  const me = await network.join({ dieAfter: 2 });
  const asked = { model: TEST_MODEL, ...CHAT, stream: true };
  const headers = { authorization: `Bearer ${network.apiKey}` };
  const url = `${me.url}/v1/chat/completions`;
  const told = await events(await fetch(url, { method: "POST", headers, body: JSON.stringify(asked) }));
  const { error } = z.strictObject({ error: errorObject }).parse(told.at(-1));
  expect(error.code).toBe("executor_failed");
});

describe("what is not offered is refused by its name, not ignored", () => {
  const tool = { type: "function", function: { name: "f", parameters: {} } };
  const strict = (schema: object) => ({ type: "json_schema", json_schema: { name: "s", strict: true, schema } });
  test.each<[string, string, object]>([
    ["tools[0].type", "chat/completions", { ...CHAT, tools: [{ type: "custom" }] }],
    ["tools[0].function.name", "chat/completions", { ...CHAT, tools: [{ type: "function", function: {} }] }],
    ["functions", "chat/completions", { ...CHAT, functions: [tool.function] }],
    ["tool_choice", "chat/completions", { ...CHAT, tool_choice: "required" }],
    [
      "tool_choice.function.name",
      "chat/completions",
      { ...CHAT, tools: [tool], tool_choice: { type: "function", function: { name: "g" } } },
    ],
    ["response_format.type", "chat/completions", { ...CHAT, response_format: { type: "xml" } }],
    [
      "response_format.json_schema.schema.properties.a.pattern",
      "chat/completions",
      { ...CHAT, response_format: strict({ type: "object", properties: { a: { type: "string", pattern: "(?=a)" } } }) },
    ],
    [
      "response_format.json_schema.schema.oneOf",
      "chat/completions",
      { ...CHAT, response_format: strict({ oneOf: [{ type: "string" }] }) },
    ],
    [
      "response_format.json_schema.schema.uniqueItems",
      "chat/completions",
      { ...CHAT, response_format: strict({ type: "array", items: { type: "string" }, uniqueItems: true }) },
    ],
    ["response_format", "chat/completions", { ...CHAT, response_format: strict({ $ref: "#" }) }],
    ["logit_bias", "chat/completions", { ...CHAT, logit_bias: { a: 5 } }],
    ["logit_bias.1", "chat/completions", { ...CHAT, logit_bias: { 1: 101 } }],
    ["modalities", "chat/completions", { ...CHAT, modalities: ["text", "audio"] }],
    ["n", "chat/completions", { ...CHAT, n: 2 }],
    [
      "messages[0].content[0].type",
      "chat/completions",
      { messages: [{ role: "user", content: [{ type: "image_url" }] }] },
    ],
    ["stream_options", "chat/completions", { ...CHAT, stream_options: { include_usage: true } }],
    ["suffix", "completions", { ...TEXT, suffix: "end" }],
    ["echo", "completions", { ...TEXT, echo: true }],
    ["best_of", "completions", { ...TEXT, best_of: 2 }],
  ])("%s of %s", async (param, path, body) => {
    const response = await post(path, body);
    expect(response.status).toBe(400);
    const { error } = z.strictObject({ error: errorObject }).parse(await response.json());
    expect(error).toMatchObject({ param, type: "invalid_request_error", code: "invalid_request" });
  });

  test.each<[string, object]>([
    ["tools that are not to be used", { tools: [tool], tool_choice: "none" }],
    ["an empty list of tools", { tools: [], parallel_tool_calls: true }],
    ["plain text as the format", { response_format: { type: "text" } }],
    ["fields that nobody knows", { user: "u", metadata: { a: "b" }, store: false, service_tier: "auto", whatever: 1 }],
  ])("but %s ask for nothing", async (_name, extra) => {
    expect((await post("chat/completions", { ...CHAT, ...extra })).status).toBe(200);
  });
});

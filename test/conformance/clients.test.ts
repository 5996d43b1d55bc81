/** Clients of the OpenAI API as they come from npm, against a node with a real model. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { AIMessage, HumanMessage, ToolMessage } from "@langchain/core/messages";
import { ChatOpenAI, OpenAI as LangChainCompletion, OpenAIEmbeddings } from "@langchain/openai";
import { embed, embedMany, generateText, jsonSchema, Output, streamText, type ToolSet } from "ai";
import OpenAI, { type APIPromise } from "openai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DIMENSIONS, type Endpoint, MODEL, startEndpoint } from "./support.ts";

let endpoint: Endpoint;
let client: OpenAI;
beforeAll(async () => {
  endpoint = await startEndpoint();
  client = endpoint.openai;
});
afterAll(() => endpoint?.close());

const question = "What does os.path.join() do?";
const messages = [{ role: "user" as const, content: question }];
const parameters = {
  type: "object" as const,
  properties: { city: { type: "string" as const, maxLength: 12 } },
  required: ["city"],
  additionalProperties: false,
};
const verdict = {
  type: "object" as const,
  properties: { ok: { type: "boolean" as const }, reason: { type: "string" as const, maxLength: 20 } },
  required: ["ok", "reason"],
  additionalProperties: false,
};

/** The scanner as its users start it; its process ends by itself. */
function compatCanary(profile: string): Promise<{ score: number; results: { id: string; status: string }[] }> {
  const cli = fileURLToPath(new URL("cli.js", import.meta.resolve("compatcanary")));
  const args = ["scan", "--base-url", endpoint.baseURL, "--model", MODEL, "--profile", profile];
  const options = ["--format", "json", "--timeout", "120000", "--fail-on", "never"];
  const env = { ...process.env, OPENAI_API_KEY: endpoint.apiKey };
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [cli, ...args, ...options], { env }, (error, stdout) =>
      error ? reject(error) : resolve(JSON.parse(stdout)),
    );
  });
}

describe("CompatCanary", () => {
  test.each([
    ["chat", 5],
    ["modern", 7],
  ])("gives 100 of 100 in the profile %s", { timeout: 240_000 }, async (profile, probes) => {
    const { score, results } = await compatCanary(profile);
    expect(results.map(({ id, status }) => `${id} ${status}`)).toEqual(results.map(({ id }) => `${id} pass`));
    expect([score, results.length]).toEqual([100, probes]);
  });
});

describe("the openai package (the cases of its own API tests)", () => {
  /** A promise of an answer is also one of the HTTP response, and of both. */
  async function threeWays<T extends object>(asked: APIPromise<T>): Promise<T> {
    const raw = await asked.asResponse();
    expect(raw).toBeInstanceOf(Response);
    const answer = await asked;
    const { data, response } = await asked.withResponse();
    expect(data).toBe(answer);
    expect(response).toBe(raw);
    return answer;
  }
  const notFound = async (call: PromiseLike<unknown>): Promise<void> => {
    await expect(Promise.resolve(call)).rejects.toBeInstanceOf(OpenAI.NotFoundError);
  };

  test("chat completions: with what is required", async () => {
    const answer = await threeWays(client.chat.completions.create({ messages, model: MODEL }));
    expect(answer.choices[0]!.message.role).toBe("assistant");
  });

  test("chat completions: with everything that can be asked for", async () => {
    const answer = await client.chat.completions.create({
      messages: [{ content: question, role: "developer", name: "name" }],
      model: MODEL,
      frequency_penalty: -2,
      logit_bias: { 300: 1 },
      logprobs: true,
      max_completion_tokens: 12,
      metadata: { foo: "string" },
      modalities: ["text"],
      n: 1,
      parallel_tool_calls: true,
      presence_penalty: -2,
      prompt_cache_key: "key",
      reasoning_effort: "none",
      response_format: { type: "text" },
      safety_identifier: "user-1234",
      seed: -1_000,
      service_tier: "auto",
      stop: "\n\n\n",
      store: true,
      stream: false,
      temperature: 1,
      tool_choice: "none",
      tools: [{ type: "function", function: { name: "name", description: "d", parameters, strict: true } }],
      top_logprobs: 0,
      top_p: 1,
      user: "user-1234",
      verbosity: "low",
    });
    expect(answer.usage!.completion_tokens).toBeLessThanOrEqual(12);
    expect(answer.choices[0]!.logprobs!.content).toHaveLength(answer.usage!.completion_tokens);
  });

  test("chat completions that are not kept", async () => {
    await notFound(client.chat.completions.retrieve("completion_id"));
    await notFound(client.chat.completions.update("completion_id", { metadata: { foo: "string" } }));
    await notFound(client.chat.completions.list());
    await notFound(client.chat.completions.list({ after: "after", limit: 0, model: "model", order: "asc" }));
    await notFound(client.chat.completions.delete("completion_id"));
    await notFound(client.chat.completions.messages.list("completion_id"));
  });

  test("completions: with what is required, and with everything", async () => {
    await threeWays(client.completions.create({ model: MODEL, prompt: "This is a test." }));
    const answer = await client.completions.create({
      model: MODEL,
      prompt: "This is a test.",
      best_of: 1,
      echo: false,
      frequency_penalty: -2,
      logit_bias: { 300: 1 },
      logprobs: 0,
      max_tokens: 16,
      n: 1,
      presence_penalty: -2,
      seed: 5,
      stop: "\n\n\n",
      stream: false,
      temperature: 1,
      top_p: 1,
      user: "user-1234",
    });
    expect(answer.choices[0]!.logprobs!.tokens).toHaveLength(answer.usage!.completion_tokens);
  });

  test("models", async () => {
    expect((await threeWays(client.models.retrieve(MODEL))).id).toBe(MODEL);
    expect((await threeWays(client.models.list())).data.map(({ id }) => id)).toEqual([MODEL]);
    await notFound(client.models.retrieve("gpt-4o-mini"));
    await notFound(client.models.delete("ft:gpt-4o-mini:acemeco:suffix:abc123"));
  });

  test("embeddings: with what is required, and with everything", async () => {
    const input = "The quick brown fox jumped over the lazy dog";
    const answer = await threeWays(client.embeddings.create({ input, model: MODEL }));
    expect(answer.data[0]!.embedding).toHaveLength(DIMENSIONS);
    const full = await client.embeddings.create({
      input: [input, "Another text"],
      model: MODEL,
      dimensions: DIMENSIONS,
      encoding_format: "float",
      user: "user-1234",
    });
    expect(full.data.map(({ embedding }) => embedding.length)).toEqual([DIMENSIONS, DIMENSIONS]);
    const same = full.data[0]!.embedding.reduce((sum, each, i) => sum + each * answer.data[0]!.embedding[i]!, 0);
    expect(same).toBeGreaterThan(0.999);
    const short = await client.embeddings.create({ input, model: MODEL, dimensions: 1, encoding_format: "float" });
    expect(Math.abs(short.data[0]!.embedding[0]!)).toBe(1);
    await notFound(client.embeddings.create({ input, model: "text-embedding-3-small" }));
  });

  test("responses: created, and not kept", async () => {
    const answer = await threeWays(client.responses.create({ model: MODEL, input: question, max_output_tokens: 20 }));
    expect(answer).toMatchObject({ object: "response", store: false });
    expect(answer.output_text).not.toBe("");
    await notFound(client.responses.retrieve("resp_677efb5139a88190b512bc3fef8e535d"));
    await notFound(client.responses.delete("resp_677efb5139a88190b512bc3fef8e535d"));
    await notFound(client.responses.cancel("resp_677efb5139a88190b512bc3fef8e535d"));
  });

  test("responses: streamed through the package's own assembler, with a call", async () => {
    const stream = client.responses.stream({
      model: MODEL,
      input: question,
      tools: [{ type: "function", name: "weather", parameters, strict: true }],
      tool_choice: { type: "function", name: "weather" },
      max_output_tokens: 80,
    });
    const final = await stream.finalResponse();
    const [call] = final.output;
    if (call?.type !== "function_call") throw new Error("no call");
    expect(call.name).toBe("weather");
    expect(typeof JSON.parse(call.arguments).city).toBe("string");
  });

  test("structured outputs through the package's parser", async () => {
    const { choices } = await client.chat.completions.parse({
      model: MODEL,
      messages,
      max_tokens: 60,
      response_format: { type: "json_schema", json_schema: { name: "verdict", strict: true, schema: verdict } },
    });
    expect(Object.keys(JSON.parse(choices[0]!.message.content!))).toEqual(["ok", "reason"]);
  });
});

test("malformed JSON in the calls of tools (Gonka's list of complaints)", async () => {
  const tools = [{ type: "function" as const, function: { name: "weather", parameters } }];
  for (let i = 0; i < 8; i++) {
    const asked = { model: MODEL, messages, tools, tool_choice: "required" as const, temperature: 2, max_tokens: 60 };
    const { choices } = await client.chat.completions.create(asked);
    for (const call of choices[0]!.message.tool_calls ?? []) {
      if (call.type === "function") expect(Object.keys(JSON.parse(call.function.arguments))).toEqual(["city"]);
    }
    expect(choices[0]!.finish_reason).toBe("tool_calls");
  }
});

describe("LangChain", () => {
  const chat = (extra: object = {}): ChatOpenAI =>
    new ChatOpenAI({
      model: MODEL,
      apiKey: endpoint.apiKey,
      configuration: { baseURL: endpoint.baseURL },
      maxRetries: 0,
      maxTokens: 60,
      ...extra,
    });

  test("generates and streams", async () => {
    expect((await chat().invoke([new HumanMessage(question)])).content).not.toBe("");
    let text = "";
    for await (const chunk of await chat().stream(question)) text += chunk.text;
    expect(text).not.toBe("");
    const completion = new LangChainCompletion({
      model: MODEL,
      apiKey: endpoint.apiKey,
      configuration: { baseURL: endpoint.baseURL },
      maxTokens: 8,
    });
    expect(await completion.invoke("The following function")).not.toBe("");
  });

  test("calls tools and goes on behind their results", async () => {
    const weather = {
      type: "function" as const,
      function: { name: "weather", description: "The weather", parameters },
    };
    const bound = chat().bindTools([weather], { tool_choice: "weather" });
    const called = await bound.invoke(question);
    expect(called.tool_calls?.[0]).toMatchObject({ name: "weather", args: { city: expect.any(String) } });
    const turns = [
      new HumanMessage(question),
      new AIMessage({ content: "", tool_calls: called.tool_calls! }),
      new ToolMessage({ content: "rain", tool_call_id: called.tool_calls![0]!.id! }),
    ];
    expect((await chat().bindTools([weather]).invoke(turns)).type).toBe("ai");
  });

  test("gets structured output", async () => {
    const structured = chat().withStructuredOutput(verdict, { name: "verdict", method: "jsonSchema", strict: true });
    expect(await structured.invoke(question)).toEqual({ ok: expect.any(Boolean), reason: expect.any(String) });
  });

  test("embeds documents and a query", async () => {
    const embeddings = new OpenAIEmbeddings({
      model: MODEL,
      apiKey: endpoint.apiKey,
      configuration: { baseURL: endpoint.baseURL },
      maxRetries: 0,
    });
    const documents = await embeddings.embedDocuments(["a text", "another"]);
    expect(documents.map(({ length }) => length)).toEqual([DIMENSIONS, DIMENSIONS]);
    expect(await embeddings.embedQuery("a text")).toHaveLength(DIMENSIONS);
  });

  test("speaks the responses endpoint", async () => {
    expect((await chat({ useResponsesApi: true }).invoke(question)).text).not.toBe("");
  });
});

describe.each([
  [
    "@ai-sdk/openai-compatible",
    () =>
      createOpenAICompatible({
        name: "karat",
        baseURL: endpoint.baseURL,
        apiKey: endpoint.apiKey,
        supportsStructuredOutputs: true,
      })(MODEL),
  ],
  ["@ai-sdk/openai, chat", () => createOpenAI({ baseURL: endpoint.baseURL, apiKey: endpoint.apiKey }).chat(MODEL)],
  [
    "@ai-sdk/openai, responses",
    () => createOpenAI({ baseURL: endpoint.baseURL, apiKey: endpoint.apiKey }).responses(MODEL),
  ],
])("the Vercel AI SDK by %s", (_name, model) => {
  const settings = { maxRetries: 0, maxOutputTokens: 80 };
  const tools: ToolSet = { weather: { description: "The weather", inputSchema: jsonSchema(parameters) } };

  test("generates and streams", async () => {
    const whole = await generateText({ model: model(), prompt: question, ...settings });
    expect(whole.text).not.toBe("");
    expect(whole.usage.outputTokens).toBeGreaterThan(0);
    const streamed = streamText({ model: model(), prompt: question, ...settings });
    let text = "";
    for await (const delta of streamed.textStream) text += delta;
    expect(text).not.toBe("");
    expect(["stop", "length"]).toContain(await streamed.finishReason);
  });

  test("calls tools, plain and streamed", async () => {
    const asked = {
      model: model(),
      prompt: question,
      tools,
      toolChoice: "required" as const,
      ...settings,
    };
    const whole = await generateText(asked);
    expect(whole.toolCalls[0]).toMatchObject({ toolName: "weather", input: { city: expect.any(String) } });
    const calls = await streamText(asked).toolCalls;
    expect(calls[0]).toMatchObject({ toolName: "weather", input: { city: expect.any(String) } });
  });

  test("gets structured output", async () => {
    const output = Output.object({ schema: jsonSchema<{ ok: boolean; reason: string }>(verdict) });
    const answer = await generateText({ model: model(), prompt: question, output, ...settings });
    expect(answer.output).toEqual({ ok: expect.any(Boolean), reason: expect.any(String) });
  });
});

test.each([
  [
    "@ai-sdk/openai-compatible",
    () =>
      createOpenAICompatible({
        name: "karat",
        baseURL: endpoint.baseURL,
        apiKey: endpoint.apiKey,
      }).embeddingModel(MODEL),
  ],
  ["@ai-sdk/openai", () => createOpenAI({ baseURL: endpoint.baseURL, apiKey: endpoint.apiKey }).embedding(MODEL)],
])("the Vercel AI SDK embeds by %s", async (_name, model) => {
  const { embedding, usage } = await embed({ model: model(), value: "a text", maxRetries: 0 });
  expect(embedding).toHaveLength(DIMENSIONS);
  expect(usage.tokens).toBeGreaterThan(0);
  const { embeddings } = await embedMany({ model: model(), values: ["a text", "another"], maxRetries: 0 });
  expect(embeddings.map(({ length }) => length)).toEqual([DIMENSIONS, DIMENSIONS]);
});

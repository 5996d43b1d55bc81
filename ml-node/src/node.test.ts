/** The node over HTTP, with the real small model: as an OpenAI server, as an executor, as a validator. */
import { silentLogger } from "@karat/common";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readConfig } from "./config.ts";
import { type MlNode, startMlNode } from "./node.ts";
import { api, GENERATE, type Generated, generate, type Line, scoreBody } from "./testing.ts";

let node: MlNode;
let url: string;
let client: OpenAI;
const model = "karat-tiny-f16";

beforeAll(async () => {
  node = await startMlNode(readConfig(["--port", "0", "--drain-ms", "2000"], {}), silentLogger);
  url = `http://127.0.0.1:${node.port}`;
  client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 });
});
afterAll(() => node?.close());

const messages = [{ role: "user" as const, content: "What does os.path.join() do?" }];
const chat = { model, messages, seed: 5, max_tokens: 30, temperature: 0.7 };

describe("the OpenAI surface", () => {
  it("lists its model", async () => {
    const models = await client.models.list();
    expect(models.data.map(({ id, object }) => [id, object])).toEqual([[model, "model"]]);
    expect((await client.models.retrieve(model)).id).toBe(model);
    await expect(client.models.retrieve("gpt-5")).rejects.toMatchObject({ status: 404, code: "model_not_found" });
  });

  it("answers a chat, the same for the same seed", async () => {
    const answer = await client.chat.completions.create(chat);
    const choice = answer.choices[0]!;
    expect(choice.message).toMatchObject({ role: "assistant", refusal: null });
    expect(choice.message.content).not.toBe("");
    expect(choice.logprobs).toBeNull();
    expect(answer.usage!.total_tokens).toBe(answer.usage!.prompt_tokens + answer.usage!.completion_tokens);
    const again = await client.chat.completions.create(chat);
    expect(again.choices[0]!.message.content).toBe(choice.message.content);
    const other = await client.chat.completions.create({ ...chat, seed: 6 });
    expect(other.choices[0]!.message.content).not.toBe(choice.message.content);
  });

  it("streams the same text through the SDK's strict reader, with usage at the end", async () => {
    const whole = await client.chat.completions.create(chat);
    const stream = client.chat.completions.stream({ ...chat, stream_options: { include_usage: true } });
    const chunks: OpenAI.ChatCompletionChunk[] = [];
    for await (const chunk of stream) chunks.push(chunk);
    const final = await stream.finalChatCompletion();
    expect(final.choices[0]!.message.content).toBe(whole.choices[0]!.message.content);
    expect(final.choices[0]!.finish_reason).toBe(whole.choices[0]!.finish_reason);
    expect(chunks[0]!.choices[0]!.delta).toEqual({ role: "assistant", content: "" });
    expect(chunks.at(-1)!).toMatchObject({ choices: [], usage: whole.usage });
    expect(chunks.slice(0, -1).every((chunk) => chunk.usage === null)).toBe(true);
  });

  it("gives log-probabilities of as many alternatives as asked for", async () => {
    const answer = await client.chat.completions.create({ ...chat, logprobs: true, top_logprobs: 4 });
    const content = answer.choices[0]!.logprobs!.content!;
    expect(content).toHaveLength(answer.usage!.completion_tokens);
    for (const entry of content) {
      expect(entry.top_logprobs).toHaveLength(4);
      expect(entry.top_logprobs[0]!.logprob).toBeGreaterThanOrEqual(entry.logprob);
    }
    const text = Buffer.from(content.flatMap((entry) => entry.bytes ?? [])).toString("utf8");
    expect(text).toBe(answer.choices[0]!.message.content);
  });

  it("cuts at stop sequences", async () => {
    const full = (await client.chat.completions.create({ ...chat, temperature: 0 })).choices[0]!.message.content!;
    const stop = full.slice(5, 9);
    const cut = await client.chat.completions.create({ ...chat, temperature: 0, stop });
    expect(cut.choices[0]!.message.content).toBe(full.slice(0, full.indexOf(stop)));
    expect(cut.choices[0]!.finish_reason).toBe("stop");
  });

  it("completes text, plain and streamed", async () => {
    const body = { model, prompt: "The default value", seed: 1, max_tokens: 20, logprobs: 2 };
    const whole = await client.completions.create(body);
    const choice = whole.choices[0]!;
    expect(choice.logprobs!.tokens).toHaveLength(whole.usage!.completion_tokens);
    let text = "";
    let reason: string | null = null;
    for await (const chunk of await client.completions.create({ ...body, stream: true })) {
      text += chunk.choices[0]?.text ?? "";
      reason = chunk.choices[0]?.finish_reason ?? reason;
    }
    expect(text).toBe(choice.text);
    expect(reason).toBe(choice.finish_reason);
  });

  it("calls functions and keeps to schemas, plain and streamed alike", async () => {
    const parameters = { type: "object", properties: { day: { enum: ["today", "tomorrow"] } }, required: ["day"] };
    const tools = [{ type: "function" as const, function: { name: "weather", parameters } }];
    const forced = { ...chat, messages: chat.messages as [], tools, tool_choice: "required" as const, seed: 5 };
    const plain = await client.chat.completions.create({ ...forced, parallel_tool_calls: false, max_tokens: 60 });
    const streamed = await client.chat.completions
      .stream({ ...forced, parallel_tool_calls: false, max_tokens: 60 })
      .finalChatCompletion();
    for (const { choices } of [plain, streamed]) {
      expect(choices[0]!.finish_reason).toBe("tool_calls");
      const [call] = choices[0]!.message.tool_calls ?? [];
      if (call?.type !== "function") throw new Error("no call");
      expect(call.function.name).toBe("weather");
      expect(["today", "tomorrow"]).toContain(JSON.parse(call.function.arguments).day);
    }
    const schema = { name: "day", strict: true, schema: { ...parameters, additionalProperties: false } };
    const response_format = { type: "json_schema" as const, json_schema: schema };
    const day = await client.chat.completions.create({ ...chat, messages: chat.messages as [], response_format });
    expect(Object.keys(JSON.parse(day.choices[0]!.message.content!))).toEqual(["day"]);
  });

  it("refuses with the OpenAI error object", async () => {
    const refused: [Record<string, unknown>, number, string, string | null][] = [
      [{ ...chat, temperature: 3 }, 400, "invalid_request", "temperature"],
      [{ ...chat, n: 2 }, 400, "invalid_request", "n"],
      [{ ...chat, messages: undefined }, 400, "invalid_request", "messages"],
      [{ ...chat, tools: [{ type: "function" }] }, 400, "invalid_request", "tools[0].function"],
      [{ ...chat, model: "gpt-5" }, 404, "model_not_found", "model"],
      [{ ...chat, max_tokens: 100_000 }, 400, "context_length_exceeded", null],
    ];
    for (const [body, status, code, param] of refused) {
      const reply = await api(url, "/v1/chat/completions", body);
      expect([reply.status, reply.json.error], code).toEqual([status, expect.objectContaining({ code, param })]);
      expect(Object.keys(reply.json.error as object).sort()).toEqual(["code", "message", "param", "type"]);
    }
    const broken = await fetch(`${url}/v1/chat/completions`, { method: "POST", body: "{" });
    expect([broken.status, ((await broken.json()) as Line).error]).toEqual([
      400,
      expect.objectContaining({ code: "invalid_json" }),
    ]);
    const huge = await api(url, "/v1/chat/completions", { ...chat, padding: "x".repeat(5_000_000) });
    expect([huge.status, huge.json.error]).toEqual([413, expect.objectContaining({ code: "payload_too_large" })]);
    const nowhere = await api(url, "/v1/nothing", {});
    expect([nowhere.status, nowhere.json.error]).toEqual([404, expect.objectContaining({ code: "not_found" })]);
    const wrongMethod = await fetch(`${url}/v1/chat/completions`);
    expect(wrongMethod.status).toBe(405);
  });
});

describe("generate", () => {
  it("streams start, tokens and end", async () => {
    const { start, tokens, end } = await generate(url, { ...GENERATE, top_logprobs: 3 });
    expect(start).toMatchObject({ type: "start", prompt_tokens: end.usage.prompt_tokens });
    expect(tokens.map((token) => token.id)).toEqual(end.token_ids);
    expect(tokens.map((token) => token.text).join("")).toBe(end.text);
    expect(tokens.every((token) => token.top.length === 3)).toBe(true);
    expect(end.usage.completion_tokens).toBe(end.token_ids.length);
    const tokenized = await api(url, "/karat/v1/tokenize", { messages: GENERATE.messages });
    expect(tokenized.json.count).toBe(start.prompt_tokens);
    expect(tokenized.json.prompt_hash).toBe(start.prompt_hash);
  });

  it("gives the same lines when nobody reads before the end", async () => {
    const [streamed, whole] = [await generate(url, GENERATE), await generate(url, { ...GENERATE, stream: false })];
    expect(whole).toEqual(streamed);
  });

  it("tells a stop sequence from a stop token and from the length", async () => {
    const greedy = { ...GENERATE, sampling: { ...GENERATE.sampling, temperatureMicros: 0 } };
    const { end } = await generate(url, greedy);
    expect(end.finish_reason).toBe("stop");
    expect((await generate(url, { ...greedy, max_tokens: 2 })).end.finish_reason).toBe("length");
    const stopped = (await generate(url, { ...greedy, stop: [end.text.slice(3, 6)] })).end;
    expect(stopped.finish_reason).toBe("stop_sequence");
    expect(stopped.text).toBe(end.text.slice(0, end.text.indexOf(end.text.slice(3, 6))));
  });

  it("frees the engine when the connection closes", async () => {
    const controller = new AbortController();
    const body = JSON.stringify({
      ...GENERATE,
      max_tokens: 900,
      sampling: { ...GENERATE.sampling, temperatureMicros: 2_000_000 },
    });
    const headers = { "content-type": "application/json" };
    const reply = await fetch(`${url}/karat/v1/generate`, { method: "POST", body, headers, signal: controller.signal });
    await reply.body!.getReader().read();
    controller.abort();
    await expect.poll(() => node.engine.load().running).toBe(0);
  });

  it("refuses bad requests before the stream begins", async () => {
    for (const [change, param] of [
      [{ seed: "00" }, "seed"],
      [{ inference_id: undefined }, "inference_id"],
      [{ top_logprobs: 21 }, "top_logprobs"],
      [{ stream: "no" }, "stream"],
      [{ sampling: { ...GENERATE.sampling, topK: 65 } }, "topK"],
      [{ prompt: "both" }, "prompt"],
    ] as const) {
      const reply = await api(url, "/karat/v1/generate", { ...GENERATE, ...change });
      expect([reply.status, reply.json.error], param).toEqual([400, expect.objectContaining({ param })]);
    }
  });

  it("reports the death of the engine in the stream and serves the next request", async () => {
    const body = JSON.stringify({
      ...GENERATE,
      max_tokens: 900,
      sampling: { ...GENERATE.sampling, temperatureMicros: 2_000_000 },
    });
    const headers = { "content-type": "application/json" };
    const reply = await fetch(`${url}/karat/v1/generate`, { method: "POST", body, headers });
    let text = "";
    for await (const piece of reply.body!.pipeThrough(new TextDecoderStream())) {
      if (text === "") process.kill(node.enginePid!, "SIGKILL");
      text += piece;
    }
    const last = JSON.parse(text.trim().split("\n").at(-1)!) as Line;
    expect(last).toMatchObject({ type: "error", error: { code: "engine_died", type: "server_error", param: null } });
    expect((await generate(url, GENERATE)).end.token_ids.length).toBeGreaterThan(0);
  });
});

describe("score", () => {
  const order = { ...GENERATE, max_tokens: 60, sampling: { ...GENERATE.sampling, temperatureMicros: 1_200_000 } };
  const score = async (body: Line) => (await api(url, "/karat/v1/score", body)).json;

  it("passes what this node generated, and fails it once it is touched", async () => {
    const body = scoreBody(order, await generate(url, order));
    expect(await score(body)).toMatchObject({ verdict: "pass", reason: "ok" });
    expect(await score({ ...body, artifact: "AAAA" })).toMatchObject({
      verdict: "fail",
      p_bucket: 10,
      reason: "artifact",
    });
    expect(await score({ ...body, artifact: "not base64!" })).toMatchObject({
      verdict: "fail",
      reason: "malformed_artifact",
    });
    expect(await score({ ...body, token_ids: [0.5] })).toMatchObject({
      verdict: "fail",
      reason: "malformed_token_ids",
    });
    expect(await score({ ...body, output_hash: "00" })).toMatchObject({
      verdict: "fail",
      reason: "malformed_output_hash",
    });
  });

  it("abstains from requests that no engine answers, and refuses what the caller got wrong", async () => {
    const body = scoreBody(order, await generate(url, order));
    expect((await score({ ...body, messages: [{ role: "nobody", content: "x" }] })).verdict).toBe("abstain");
    for (const [change, param] of [
      [{ seed: undefined }, "seed"],
      [{ sampling: undefined }, "sampling"],
    ] as const) {
      const reply = await api(url, "/karat/v1/score", { ...body, ...change });
      expect([reply.status, reply.json.error]).toEqual([400, expect.objectContaining({ param })]);
    }
    const other = await api(url, "/karat/v1/score", { ...body, model: "gpt-5" });
    expect(other.status).toBe(404);
  });

  it("convicts a node that was started to cheat", async () => {
    const substitute = new URL("../../models/karat-mini-f16.gguf", import.meta.url).pathname;
    for (const kind of ["swap", "launder"]) {
      const cheat = await startMlNode(
        readConfig(["--port", "0", "--attack", `${kind}=${substitute}`], {}),
        silentLogger,
      );
      try {
        const base = `http://127.0.0.1:${cheat.port}`;
        const declared = (await (await fetch(`${base}/karat/v1/models`)).json()) as { models: Line[] };
        expect(declared.models[0]).toMatchObject({ id: model, weights_sha256: node.engine.info().weightsSha256 });
        const verdict = await score(scoreBody(order, await generate(base, order)));
        expect(verdict, kind).toMatchObject({ verdict: "fail" });
      } finally {
        await cheat.close();
      }
    }
  });
});

describe("operations", () => {
  it("describes its model, its health and its work", async () => {
    const models = (await (await fetch(`${url}/karat/v1/models`)).json()) as { models: Line[] };
    expect(models.models).toEqual([
      expect.objectContaining({
        id: model,
        quantization: "f16",
        context_length: 1024,
        vocabulary_size: 2048,
        engine: "llama",
        capacity: 4,
        artifact: { step: "1/128", k: 5 },
      }),
    ]);
    expect((await (await fetch(`${url}/healthz`)).json()) as Line).toMatchObject({ status: "ok", engine: "ready" });
    const metrics = await (await fetch(`${url}/metrics`)).text();
    expect(metrics).toMatch(/karat_ml_completion_tokens_total [1-9]/);
    expect(metrics).toMatch(/karat_ml_requests_total\{route="\/v1\/chat\/completions",status="400"\} [1-9]/);
  });

  it("asks for its token, and lets running answers end when it stops", async () => {
    const guarded = await startMlNode(
      readConfig(["--port", "0", "--token", "secret", "--sequences", "1"], {}),
      silentLogger,
    );
    try {
      const base = `http://127.0.0.1:${guarded.port}`;
      expect((await fetch(`${base}/healthz`)).status).toBe(200);
      for (const authorization of ["", "Bearer wrong", "Bearer secrets"]) {
        const reply = await fetch(`${base}/karat/v1/models`, { headers: { authorization } });
        expect(reply.status).toBe(401);
      }
      const long = { ...GENERATE, max_tokens: 400, sampling: { ...GENERATE.sampling, temperatureMicros: 2_000_000 } };
      const running = generate(base, long, { authorization: "Bearer secret" });
      await expect.poll(() => guarded.engine.load().running).toBe(1);
      await guarded.close();
      const { end }: Generated = await running;
      expect(["stop", "length"]).toContain(end.finish_reason);
      expect(guarded.engine.state()).toBe("closed");
    } finally {
      await guarded.close();
    }
  });
});

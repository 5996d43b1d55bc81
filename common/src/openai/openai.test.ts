import { describe, expect, it } from "vitest";
import { KaratError } from "../errors.ts";
import {
  type AnswerPiece,
  ChatStream,
  chatCompletion,
  chatRoleChunk,
  chatUsageChunk,
  embeddingFormat,
  embeddingList,
  openAiError,
  refuseUnsupported,
  requireDimensions,
  type TextToken,
  textCompletion,
  textFinishChunk,
  textTokenChunk,
  textUsageChunk,
  usageOf,
} from "./index.ts";

const header = { id: "chatcmpl-1", created: 1, model: "m" };
const alternative = (token: string, logprob: number) => ({ id: 1, token, bytes: [...Buffer.from(token)], logprob });
const token = (text: string, logprob = -0.5): TextToken => ({
  ...alternative(text, logprob),
  text,
  top: [alternative(text, logprob), alternative("x", -2), alternative("x", -3)],
});
const end: TextToken = { id: 2, token: "<|end|>", bytes: [], logprob: Number.NEGATIVE_INFINITY, text: "", top: [] };

describe("chat objects", () => {
  it("carry every key of a plain answer", () => {
    const answer = { text: "hi", tokens: [token("hi"), end], finishReason: "stop_sequence", usage: usageOf(3, 2) };
    expect(chatCompletion(header, answer)).toEqual({
      ...header,
      object: "chat.completion",
      choices: [
        {
          index: 0,
          message: { role: "assistant", content: "hi", refusal: null },
          logprobs: null,
          finish_reason: "stop",
        },
      ],
      usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 },
    });
    const content = chatCompletion({ ...header, topLogprobs: 1 }, answer).choices[0].logprobs?.content;
    expect(content).toEqual([
      {
        token: "hi",
        logprob: -0.5,
        bytes: [104, 105],
        top_logprobs: [{ token: "hi", logprob: -0.5, bytes: [104, 105] }],
      },
      { token: "<|end|>", logprob: -9999, bytes: null, top_logprobs: [] },
    ]);
  });

  it("stream the role first, the finish last, and usage only where it was asked for", () => {
    expect(chatRoleChunk(header)).toEqual({
      ...header,
      object: "chat.completion.chunk",
      choices: [{ index: 0, delta: { role: "assistant", content: "" }, logprobs: null, finish_reason: null }],
    });
    const format = { ...header, includeUsage: true };
    const stream = new ChatStream(format);
    expect(stream.token(token("a"))).toMatchObject([{ usage: null, choices: [{ delta: { content: "a" } }] }]);
    expect(stream.finish("length")).toMatchObject([{ usage: null, choices: [{ delta: {}, finish_reason: "length" }] }]);
    expect(chatUsageChunk(format, usageOf(1, 2))).toMatchObject({ choices: [], usage: { total_tokens: 3 } });
    expect(new ChatStream(header).finish("stop")[0]).not.toHaveProperty("usage");
  });

  it("tell of a silent token only when log-probabilities were asked for", () => {
    expect(new ChatStream(header).token(end)).toEqual([]);
    const [chunk] = new ChatStream({ ...header, topLogprobs: 0 }).token(end);
    expect(chunk?.choices[0]?.logprobs?.content).toHaveLength(1);
  });

  it("name a call once, then give its arguments under the same index, and end for the call's sake", () => {
    const pieces: AnswerPiece[][] = [
      [{ type: "call", index: 0, name: "f" }],
      [
        { type: "arguments", index: 0, text: "{}" },
        { type: "call", index: 1, name: "g" },
      ],
    ];
    const stream = new ChatStream(header, { push: () => pieces.shift() ?? [], finish: () => [] });
    const deltas = [...stream.token(token("x")), ...stream.token(token("y")), ...stream.finish("stop")].map(
      ({ choices }) => [choices[0]?.delta, choices[0]?.finish_reason],
    );
    expect(deltas).toEqual([
      [{ tool_calls: [{ index: 0, id: "call_1_0", type: "function", function: { name: "f", arguments: "" } }] }, null],
      [{ tool_calls: [{ index: 0, function: { arguments: "{}" } }] }, null],
      [{ tool_calls: [{ index: 1, id: "call_1_1", type: "function", function: { name: "g", arguments: "" } }] }, null],
      [{}, "tool_calls"],
    ]);
    const calls = [{ name: "f", arguments: "{}" }];
    const { message, finish_reason } = chatCompletion(header, {
      text: null,
      calls,
      tokens: [],
      finishReason: "stop",
      usage: usageOf(1, 1),
    }).choices[0];
    expect([message.content, message.tool_calls?.[0]?.id, finish_reason]).toEqual([null, "call_1_0", "tool_calls"]);
  });
});

describe("text completions", () => {
  it("count offsets in characters and keep the likeliest of equal texts", () => {
    const answer = {
      text: "hiyo",
      tokens: [token("hi"), token("yo"), end],
      finishReason: "length",
      usage: usageOf(1, 3),
    };
    expect(textCompletion({ ...header, logprobs: 3 }, answer).choices[0]).toEqual({
      index: 0,
      text: "hiyo",
      finish_reason: "length",
      logprobs: {
        tokens: ["hi", "yo", "<|end|>"],
        token_logprobs: [-0.5, -0.5, -9999],
        top_logprobs: [{ hi: -0.5, x: -2 }, { yo: -0.5, x: -2 }, {}],
        text_offset: [0, 2, 4],
      },
    });
  });

  it("stream", () => {
    expect(textTokenChunk({ ...header, logprobs: 0 }, token("yo"), 7)?.choices[0]).toMatchObject({
      text: "yo",
      finish_reason: null,
      logprobs: { text_offset: [7], top_logprobs: null },
    });
    expect(textTokenChunk(header, end, 0)).toBeUndefined();
    expect(textFinishChunk(header, "stop").choices[0]).toMatchObject({ text: "", finish_reason: "stop" });
    expect(textUsageChunk(header, usageOf(1, 1))).toMatchObject({ choices: [], usage: { total_tokens: 2 } });
  });
});

describe("errors", () => {
  it("render a code with its status, field and retry hint", () => {
    expect(openAiError(new KaratError("invalid_request", "no", { param: "n" }))).toEqual({
      status: 400,
      headers: {},
      body: { error: { message: "no", type: "invalid_request_error", param: "n", code: "invalid_request" } },
    });
    const busy = openAiError(new KaratError("overloaded", "busy", { retry_after_s: 0.2 }));
    expect([busy.status, busy.headers]).toEqual([429, { "retry-after": "1" }]);
    const rule = Object.assign(new Error("bad"), { code: "invalid_sampling", param: "topK", data: {} });
    expect(openAiError(rule)).toMatchObject({ status: 400, body: { error: { param: "topK" } } });
  });

  it("reveal nothing of what was not meant for the caller", () => {
    for (const thrown of [
      new Error("password=1"),
      Object.assign(new Error("x"), { code: "ENOENT" }),
      "text",
      undefined,
    ]) {
      const { status, body } = openAiError(thrown);
      expect(status).toBe(500);
      expect(body.error.code).toBe("internal_error");
      expect(body.error.message).not.toContain("password");
    }
  });
});

describe("refuseUnsupported", () => {
  it("lets through what asks for nothing", () => {
    const harmless = {
      functions: [],
      modalities: ["text"],
      audio: null,
      stream: true,
      stream_options: { include_usage: true },
      something_new: 1,
    };
    expect(() => refuseUnsupported(harmless)).not.toThrow();
  });

  it("names the field it cannot honour", () => {
    const refused: [string, Record<string, unknown>][] = [
      ["functions", { functions: [{ name: "f" }] }],
      ["modalities", { modalities: ["audio"] }],
      ["stream", { stream: "yes" }],
      ["stream_options", { stream_options: { include_usage: true } }],
      ["suffix", { suffix: "end" }],
    ];
    for (const [param, body] of refused) {
      let thrown: unknown;
      try {
        refuseUnsupported(body);
      } catch (error) {
        thrown = error;
      }
      expect(thrown, param).toMatchObject({ code: "invalid_request", data: { param } });
    }
  });
});

describe("embeddings", () => {
  const vectors = [Uint8Array.of(0, 0, 128, 63, 205, 204, 204, 61), Uint8Array.of(0, 0, 0, 0, 0, 0, 128, 191)];

  it("are told as numbers that are exactly their components, or as their bytes", () => {
    const list = embeddingList("m", vectors, "float", usageOf(3, 2));
    expect(list).toEqual({
      object: "list",
      data: [
        { object: "embedding", index: 0, embedding: [1, Math.fround(0.1)] },
        { object: "embedding", index: 1, embedding: [0, -1] },
      ],
      model: "m",
      usage: { prompt_tokens: 3, total_tokens: 5 },
    });
    const bytes = vectors.map((vector) => Buffer.from(vector).toString("base64"));
    const { data } = embeddingList("m", vectors, "base64", usageOf(3, 2));
    expect(data.map(({ embedding }) => embedding)).toEqual(bytes);
  });

  it("are wanted as numbers unless it is said otherwise, and with as many dimensions as the model gives, or fewer", () => {
    expect(embeddingFormat({ encoding_format: null, dimensions: null })).toEqual({ encoding: "float" });
    expect(embeddingFormat({ encoding_format: "base64", dimensions: 2 })).toEqual({
      encoding: "base64",
      dimensions: 2,
    });
    for (const body of [{ encoding_format: "int8" }, { dimensions: 0 }, { dimensions: "2" }]) {
      const [param] = Object.keys(body);
      expect(() => embeddingFormat(body)).toThrow(expect.objectContaining({ data: { param } }));
    }
    for (const fits of [1, 2]) expect(() => requireDimensions(fits, 2)).not.toThrow();
    expect(() => requireDimensions(undefined, 2)).not.toThrow();
    expect(() => requireDimensions(3, 2)).toThrow(expect.objectContaining({ data: { param: "dimensions" } }));
  });
});

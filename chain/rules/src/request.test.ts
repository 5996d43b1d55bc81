import { describe, expect, test } from "vitest";
import { bytesToHex, canonicalJson, isRuleError, requestHash, samplingOf, sanitizeRequest } from "./index.ts";

const messages = [{ role: "user", content: "hi" }];
const paramOf = (body: unknown): string => {
  try {
    sanitizeRequest(body);
  } catch (error) {
    if (isRuleError(error, "invalid_request")) return error.param;
    throw error;
  }
  return "accepted";
};

test("canonical JSON is RFC 8785: keys by UTF-16 units, numbers as ECMAScript writes them", () => {
  expect(canonicalJson({ b: 1, a: [1e21, 0.1, -0], "\u20ac": "\u0001é", A: null })).toBe(
    '{"A":null,"a":[1e+21,0.1,0],"b":1,"€":"\\u0001é"}',
  );
});

describe("a sanitised request", () => {
  test("hashes the same whatever the order, the transport fields, nulls and unknown fields", () => {
    const one = sanitizeRequest({
      model: "m",
      messages,
      temperature: 0.7,
      stream: true,
      user: "u",
      foo: 1,
      top_p: null,
    });
    const two = sanitizeRequest({
      temperature: 0.7,
      messages: [{ content: [{ type: "text", text: "hi" }], role: "user" }],
      model: "m",
    });
    expect(bytesToHex(requestHash(one))).toBe(bytesToHex(requestHash(two)));
  });

  test("takes max_completion_tokens before max_tokens, and a single stop as a list", () => {
    const request = sanitizeRequest({ model: "m", messages, max_tokens: 5, max_completion_tokens: 7, stop: "x" });
    expect(request).toMatchObject({ max_tokens: 7, stop: ["x"] });
  });

  test("gives integers for the chain", () => {
    expect(samplingOf(sanitizeRequest({ model: "m", messages, temperature: 0.7, top_p: 0.9 }))).toMatchObject({
      temperatureMicros: 700_000,
      topPMicros: 900_000,
      topK: 64,
    });
  });

  test.each<[string, unknown]>([
    ["body", []],
    ["body", null],
    ["model", { messages }],
    ["messages", { model: "m" }],
    ["messages", { model: "m", messages: [] }],
    ["prompt", { model: "m", messages, prompt: "x" }],
    ["messages[0].role", { model: "m", messages: [{ role: "root", content: "x" }] }],
    ["messages[0].content", { model: "m", messages: [{ role: "user", content: null }] }],
    ["messages[0].content[0].type", { model: "m", messages: [{ role: "user", content: [{ type: "image_url" }] }] }],
    ["temperature", { model: "m", messages, temperature: 2.1 }],
    ["top_p", { model: "m", messages, top_p: "1" }],
    ["n", { model: "m", messages, n: 2 }],
    ["stop", { model: "m", messages, stop: ["a", "b", "c", "d", "e"] }],
    ["max_tokens", { model: "m", messages, max_tokens: 0 }],
    ["top_logprobs", { model: "m", messages, top_logprobs: 3 }],
    ["top_logprobs", { model: "m", messages, logprobs: true, top_logprobs: 21 }],
    ["seed", { model: "m", messages, seed: 1.5 }],
  ])("is refused with the param %s", (param, body) => {
    expect(paramOf(body)).toBe(param);
  });
});

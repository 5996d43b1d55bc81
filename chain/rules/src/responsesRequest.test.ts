import { expect, test } from "vitest";
import { bytesToHex, chatOfResponses, isRuleError, requestHash, sanitizeRequest } from "./index.ts";

const hashOf = (chat: unknown): string => bytesToHex(requestHash(sanitizeRequest(chat)));

test("a response is the same inference as the chat that says the same", () => {
  const parameters = { type: "object", properties: { z: { type: "string" }, a: { type: "null" } } };
  const response = {
    model: "m",
    instructions: "Be brief.",
    input: [
      { role: "user", content: [{ type: "input_text", text: "Weather?" }] },
      { type: "function_call", call_id: "c1", name: "w", arguments: "{}" },
      { type: "function_call", call_id: "c2", name: "w", arguments: "{}" },
      { type: "function_call_output", call_id: "c1", output: "rain" },
    ],
    tools: [{ type: "function", name: "w", description: "d", parameters }],
    tool_choice: { type: "function", name: "w" },
    text: { format: { type: "json_schema", name: "s", schema: parameters } },
    max_output_tokens: 9,
    include: ["message.output_text.logprobs"],
    top_logprobs: 2,
    temperature: 0.5,
    metadata: { a: "b" },
    stream: true,
  };
  const call = (id: string) => ({ id, type: "function", function: { name: "w", arguments: "{}" } });
  const chat = {
    model: "m",
    messages: [
      { role: "system", content: "Be brief." },
      { role: "user", content: "Weather?" },
      { role: "assistant", tool_calls: [call("c1"), call("c2")] },
      { role: "tool", tool_call_id: "c1", content: "rain" },
    ],
    tools: [{ type: "function", function: { name: "w", description: "d", parameters } }],
    tool_choice: { type: "function", function: { name: "w" } },
    response_format: { type: "json_schema", json_schema: { name: "s", schema: parameters } },
    max_tokens: 9,
    logprobs: true,
    top_logprobs: 2,
    temperature: 0.5,
  };
  expect(hashOf(chatOfResponses(response))).toBe(hashOf(chat));
  expect(hashOf(chatOfResponses({ ...response, instructions: "Be long." }))).not.toBe(hashOf(chat));
});

test.each<[string, unknown]>([
  ["body", []],
  ["input", { model: "m" }],
  ["input[0]", { input: ["a"] }],
  ["input[0].type", { input: [{ type: "item_reference", id: "x" }] }],
  ["previous_response_id", { input: "a", previous_response_id: "resp_1" }],
  ["conversation", { input: "a", conversation: "conv_1" }],
  ["background", { input: "a", background: true }],
  ["instructions", { input: "a", instructions: ["b"] }],
  ["tools", { input: "a", tools: {} }],
])("what has no chat that says the same is refused by its name: %s", (param, body) => {
  let refused: unknown;
  try {
    chatOfResponses(body);
  } catch (error) {
    refused = isRuleError(error, "invalid_request") ? error.param : error;
  }
  expect(refused).toBe(param);
});

import { utf8 } from "@karat/common";
import { describe, expect, test } from "vitest";
import { readClientRequest } from "./clientRequest.ts";

const read = (body: object) => readClientRequest("responses", utf8(JSON.stringify({ model: "m", ...body })));
const paramOf = (body: object): unknown => {
  try {
    read(body);
  } catch (error) {
    return (error as { data?: { param?: unknown } }).data?.param;
  }
  return "no error";
};

describe("a request for a response", () => {
  test("is the same inference as the chat that says the same", () => {
    const parameters = { type: "object", properties: { z: { type: "string" }, a: { type: "null" } } };
    const response = read({
      instructions: "Be brief.",
      input: [
        { role: "user", content: [{ type: "input_text", text: "Weather?" }] },
        { type: "reasoning", summary: [] },
        { type: "function_call", call_id: "c1", name: "w", arguments: "{}" },
        { type: "function_call", call_id: "c2", name: "w", arguments: "{}" },
        { type: "function_call_output", call_id: "c1", output: "rain" },
      ],
      tools: [{ type: "function", name: "w", description: "d", parameters, strict: false }],
      tool_choice: { type: "function", name: "w" },
      text: { format: { type: "json_schema", name: "s", schema: parameters } },
      max_output_tokens: 9,
      metadata: { a: "b" },
      store: true,
    });
    const call = (id: string) => ({ id, type: "function", function: { name: "w", arguments: "{}" } });
    const chat = readClientRequest(
      "chat",
      utf8(
        JSON.stringify({
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
        }),
      ),
    );
    expect(response.canonical).toBe(chat.canonical);
    expect(response.settings).toMatchObject({
      instructions: "Be brief.",
      metadata: { a: "b" },
      tools: [{ type: "function", name: "w", parameters, strict: false }],
    });
  });

  test.each<[string, object]>([
    ["input", {}],
    ["input", { input: [] }],
    ["input[0].type", { input: [{ type: "item_reference", id: "x" }] }],
    ["input[0].content[0].type", { input: [{ role: "user", content: [{ type: "input_image" }] }] }],
    ["previous_response_id", { input: "a", previous_response_id: "resp_1" }],
    ["background", { input: "a", background: true }],
    ["truncation", { input: "a", truncation: "auto" }],
    ["max_output_tokens", { input: "a", max_output_tokens: 0 }],
    ["tools[0].type", { input: "a", tools: [{ type: "web_search" }] }],
    ["tools[0].name", { input: "a", tools: [{ type: "function", name: "not a name" }] }],
    [
      "tool_choice.name",
      { input: "a", tools: [{ type: "function", name: "f" }], tool_choice: { type: "function", name: "g" } },
    ],
    ["text.format.schema", { input: "a", text: { format: { type: "json_schema", name: "s" } } }],
    ["temperature", { input: "a", temperature: 3 }],
    ["metadata", { input: "a", metadata: { a: 1 } }],
  ])("is refused by the name of its own field: %s", (param, body) => {
    expect(paramOf(body)).toBe(param);
  });
});

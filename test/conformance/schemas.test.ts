/** Every answer and every event of every stream, by OpenAI's published schemas. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Endpoint, MODEL, Schemas, startEndpoint } from "./support.ts";

let endpoint: Endpoint;
const schemas = new Schemas();
beforeAll(async () => {
  endpoint = await startEndpoint();
});
afterAll(() => endpoint?.close());

const post = (path: string, body: object): Promise<Response> =>
  fetch(`${endpoint.baseURL}/${path}`, {
    method: "POST",
    headers: { authorization: `Bearer ${endpoint.apiKey}`, "content-type": "application/json" },
    body: JSON.stringify({ model: MODEL, ...body }),
  });

interface Sent {
  event: string | undefined;
  data: Record<string, unknown>;
}

async function events(response: Response): Promise<Sent[]> {
  expect(response.headers.get("content-type")).toMatch(/^text\/event-stream/);
  const blocks = (await response.text()).split("\n\n").filter((block) => block !== "" && block !== "data: [DONE]");
  return blocks.map((block) => {
    const [, event, data] = /^(?:event: (.+)\n)?data: (.+)$/.exec(block) ?? [];
    return { event, data: JSON.parse(data!) };
  });
}

const valid = (name: string, value: unknown): void => expect(schemas.problems(name, value)).toEqual([]);

const tool = {
  name: "weather",
  description: "The weather of a city.",
  parameters: { type: "object", properties: { city: { type: "string", maxLength: 12 } }, required: ["city"] },
};
const schema = {
  type: "object",
  properties: { ok: { type: "boolean" }, many: { type: "array", items: { type: "integer" }, maxItems: 3 } },
  required: ["ok", "many"],
  additionalProperties: false,
};
const messages = [{ role: "user", content: "What does os.path.join() do?" }];
const calls = { tools: [{ type: "function", function: tool }], tool_choice: "required" };
const afterCall = [
  ...messages,
  {
    role: "assistant",
    content: null,
    tool_calls: [{ id: "call_1", type: "function", function: { name: "weather", arguments: '{"city":"Ulm"}' } }],
  },
  { role: "tool", tool_call_id: "call_1", content: "rain" },
];

const CHATS: [string, object][] = [
  ["plain", { messages }],
  ["with log-probabilities", { messages, logprobs: true, top_logprobs: 3 }],
  ["of one token", { messages, max_tokens: 1 }],
  ["with calls", { messages, ...calls }],
  ["with calls and log-probabilities", { messages, ...calls, logprobs: true, top_logprobs: 1 }],
  ["behind a call", { messages: afterCall, tools: calls.tools }],
  ["in JSON", { messages, response_format: { type: "json_object" }, max_tokens: 60 }],
  [
    "by a schema",
    { messages, response_format: { type: "json_schema", json_schema: { name: "s", strict: true, schema } } },
  ],
  ["with a bias", { messages, logit_bias: { 300: 5, 301: -100 } }],
];

describe("a chat completion", () => {
  test.each(CHATS)("%s", async (_name, body) => {
    const response = await post("chat/completions", { max_tokens: 40, ...body });
    const answer = await response.json();
    valid("CreateChatCompletionResponse", answer);
    const stream_options = { include_usage: true };
    const sent = await events(
      await post("chat/completions", { max_tokens: 40, ...body, stream: true, stream_options }),
    );
    expect(sent.length).toBeGreaterThan(2);
    for (const { event, data } of sent) {
      expect(event).toBeUndefined();
      // The schema has no null for the usage of the other chunks; its description and every SDK have.
      const { usage, ...chunk } = data;
      valid("CreateChatCompletionStreamResponse", usage === null ? chunk : data);
    }
  });
});

describe("a text completion", () => {
  const texts: [string, object][] = [
    ["plain", {}],
    ["with log-probabilities", { logprobs: 2 }],
    ["that is cut off", { max_tokens: 1 }],
  ];
  test.each(texts)("%s", async (_name, body) => {
    const asked = { prompt: "The following function", max_tokens: 12, ...body };
    valid("CreateCompletionResponse", await (await post("completions", asked)).json());
    const sent = await events(await post("completions", { ...asked, stream: true }));
    for (const [i, { data }] of sent.entries()) {
      // Legacy streams are made of the object of a plain answer, whose schema knows no "not yet".
      const [choice] = data.choices as { finish_reason: string | null }[];
      expect(choice?.finish_reason === null).toBe(i < sent.length - 1);
      valid("CreateCompletionResponse", {
        ...data,
        choices: [{ ...choice, finish_reason: choice?.finish_reason ?? "stop" }],
      });
    }
  });
});

const EVENTS: Readonly<Record<string, string>> = {
  "response.created": "ResponseCreatedEvent",
  "response.in_progress": "ResponseInProgressEvent",
  "response.output_item.added": "ResponseOutputItemAddedEvent",
  "response.content_part.added": "ResponseContentPartAddedEvent",
  "response.output_text.delta": "ResponseTextDeltaEvent",
  "response.output_text.done": "ResponseTextDoneEvent",
  "response.content_part.done": "ResponseContentPartDoneEvent",
  "response.function_call_arguments.delta": "ResponseFunctionCallArgumentsDeltaEvent",
  "response.function_call_arguments.done": "ResponseFunctionCallArgumentsDoneEvent",
  "response.output_item.done": "ResponseOutputItemDoneEvent",
  "response.completed": "ResponseCompletedEvent",
  "response.incomplete": "ResponseIncompleteEvent",
};

describe("a response", () => {
  const input = "What does os.path.join() do?";
  const asked: [string, string, object][] = [
    ["plain", "either", { input }],
    [
      "of a list of items",
      "either",
      { input: [{ role: "user", content: [{ type: "input_text", text: input }] }], instructions: "Be brief." },
    ],
    ["that is cut off", "incomplete", { input, max_output_tokens: 1 }],
    ["with log-probabilities", "either", { input, include: ["message.output_text.logprobs"], top_logprobs: 2 }],
    [
      "with calls",
      "completed",
      { input, tools: [{ type: "function", ...tool, strict: false }], tool_choice: "required" },
    ],
    ["by a schema", "completed", { input, text: { format: { type: "json_schema", name: "s", strict: true, schema } } }],
    [
      "behind a call",
      "either",
      {
        input: [
          { role: "user", content: input },
          { type: "function_call", call_id: "call_1", name: "weather", arguments: "{}" },
          { type: "function_call_output", call_id: "call_1", output: "rain" },
        ],
        metadata: { a: "b" },
      },
    ],
  ];
  test.each(asked)("%s", async (_name, status, body) => {
    const response = await (await post("responses", { max_output_tokens: 60, ...body })).json();
    valid("Response", response);
    const isStatus = (found: unknown) =>
      (status === "either" ? ["completed", "incomplete"] : [status]).includes(String(found));
    expect(isStatus((response as { status: unknown }).status)).toBe(true);
    const sent = await events(await post("responses", { max_output_tokens: 60, ...body, stream: true }));
    for (const [i, { event, data }] of sent.entries()) {
      expect(data).toMatchObject({ type: event, sequence_number: i });
      valid(EVENTS[event!] ?? `no schema of ${event}`, data);
    }
    expect(isStatus(sent.at(-1)!.event!.replace("response.", ""))).toBe(true);
  });
});

describe("embeddings", () => {
  test.each(["float", "base64"])("as %s", async (encoding_format) => {
    const response = await post("embeddings", { input: ["a", "b"], encoding_format });
    const list = (await response.json()) as { data: object[] };
    expect(list.data).toHaveLength(2);
    // The schema knows numbers only; every SDK asks for base64.
    const data = list.data.map((each) => (encoding_format === "float" ? each : { ...each, embedding: [] }));
    valid("CreateEmbeddingResponse", { ...list, data });
  });
});

describe("everything else", () => {
  test("models", async () => {
    const list = await (await fetch(`${endpoint.baseURL}/models`)).json();
    valid("ListModelsResponse", list);
    valid("Model", await (await fetch(`${endpoint.baseURL}/models/${MODEL}`)).json());
  });

  test.each<[number, string, string, object | undefined]>([
    [400, "POST", "chat/completions", { messages: "none" }],
    [400, "POST", "responses", { input: [], tools: [{ type: "web_search" }] }],
    [400, "POST", "responses", { input: "a", previous_response_id: "resp_1" }],
    [404, "POST", "chat/completions", { model: "other", messages }],
    [404, "POST", "embeddings", { model: "other", input: "a" }],
    [400, "POST", "embeddings", { input: [[1, 2]] }],
    [404, "POST", "moderations", { input: "a" }],
    [404, "GET", "responses/resp_1", undefined],
    [404, "GET", "models/other", undefined],
    [404, "DELETE", `models/${MODEL}`, undefined],
  ])("an error %i of %s %s", async (status, method, path, body) => {
    const response = await fetch(`${endpoint.baseURL}/${path}`, {
      method,
      headers: { authorization: `Bearer ${endpoint.apiKey}` },
      ...(body ? { body: JSON.stringify({ model: MODEL, ...body }) } : {}),
    });
    expect(response.status).toBe(status);
    valid("ErrorResponse", await response.json());
    expect(response.headers.get("x-request-id")).toBeTruthy();
  });
});

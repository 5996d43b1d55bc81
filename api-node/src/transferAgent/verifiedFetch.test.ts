/** The fetch of @karat/client in the openai package: against an API node that is honest, and behind one that lies to its client. */
import { writeCalls } from "@karat/rules";
import type OpenAI from "openai";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { TEST_MODEL } from "../testing/fakeView.ts";
import { TestNetwork, type TestParticipant } from "../testing/testNetwork.ts";
import {
  failureOf,
  flatTool,
  messages,
  prompt,
  question,
  response,
  streamed,
  streamedResponse,
  streamedText,
  through,
  tool,
  verifiedClient,
} from "../testing/verifiedClient.ts";

let network: TestNetwork;
beforeEach(() => {
  network = new TestNetwork();
});
afterEach(() => network.close());

const client = (me: TestParticipant, options: Parameters<typeof verifiedClient>[2] = {}): OpenAI =>
  verifiedClient(network, me, options);

describe("an honest answer passes", () => {
  test("whole and streamed, of both endpoints", async () => {
    const me = await network.join();
    const sdk = client(me);
    expect((await sdk.chat.completions.create(question)).choices[0]?.message.content).toBe("Hello world");
    expect(await streamed(sdk)).toBe("Hello world");
    expect(await streamed(sdk, { stream_options: { include_usage: true }, logprobs: true, top_logprobs: 2 })).toBe(
      "Hello world",
    );
    expect((await sdk.completions.create(prompt)).choices[0]?.text).toBe("Hello world");
    expect(await streamedText(sdk)).toBe("Hello world");
  });

  test("whole and streamed, of responses, whatever they ask for", async () => {
    const me = await network.join();
    const sdk = client(me);
    expect((await sdk.responses.create(response)).output_text).toBe("Hello world");
    expect(await streamedResponse(sdk)).toBe("Hello world");
    const logprobs = { include: ["message.output_text.logprobs"], top_logprobs: 2 };
    const turns = [
      { role: "user", content: [{ type: "input_text", text: "Weather?" }] },
      { type: "function_call", call_id: "c1", name: "weather", arguments: "{}" },
      { type: "function_call_output", call_id: "c1", output: "rain" },
    ];
    const more = { input: turns, tools: [flatTool], temperature: 0.5, max_output_tokens: 9, metadata: { a: "b" } };
    expect(await streamedResponse(sdk, { ...logprobs, ...more })).toBe("Hello world");
    const final = await sdk.responses.stream(response).finalResponse();
    expect([final.output_text, final.usage?.output_tokens]).toEqual(["Hello world", 4]);
  });

  test("of a response with calls of functions", async () => {
    const me = await network.join({ tokens: ["Let me see. ", writeCalls([{ name: "weather", arguments: "{}" }]), ""] });
    const sdk = client(me);
    const shown = [
      { type: "message", content: [{ text: "Let me see. " }] },
      { type: "function_call", name: "weather", arguments: "{}" },
    ];
    expect((await sdk.responses.create({ ...response, tools: [flatTool] })).output).toMatchObject(shown);
    const final = await sdk.responses.stream({ ...response, tools: [flatTool] }).finalResponse();
    expect(final.output).toMatchObject(shown);
  });

  test("with calls of functions", async () => {
    const me = await network.join({ tokens: ["Let me see. ", writeCalls([{ name: "weather", arguments: "{}" }]), ""] });
    const sdk = client(me);
    const { choices } = await sdk.chat.completions.create({ ...question, tools: [tool] });
    expect(choices[0]?.message.tool_calls).toMatchObject([{ function: { name: "weather", arguments: "{}" } }]);
    const final = await sdk.chat.completions.stream({ ...question, tools: [tool] }).finalChatCompletion();
    expect(final.choices[0]?.message.tool_calls).toMatchObject([{ function: { name: "weather", arguments: "{}" } }]);
  });

  test("of a model by another name only where the client knows that name", async () => {
    const me = await network.join({}, { aliases: new Map([["gpt-4o-mini", TEST_MODEL]]) });
    const asks = [
      (sdk: OpenAI) => sdk.chat.completions.create({ model: "gpt-4o-mini", messages }),
      (sdk: OpenAI) => sdk.responses.create({ ...response, model: "gpt-4o-mini" }),
    ];
    for (const ask of asks) {
      expect((await ask(client(me, { aliases: { "gpt-4o-mini": TEST_MODEL } }))).model).toBe(TEST_MODEL);
      expect(await failureOf(ask(client(me)))).toEqual(["receipt_mismatch", "request_hash"]);
    }
  });

  test("and the node's errors, and what is no answer, pass as they are", async () => {
    const me = await network.join();
    const sdk = client(me);
    expect((await sdk.models.list()).data).toHaveLength(1);
    await expect(sdk.chat.completions.create({ model: "other", messages })).rejects.toMatchObject({ status: 404 });
    me.ml.script.failAfter = 1;
    await expect(streamed(sdk)).rejects.toMatchObject({ code: "executor_failed" });
    await expect(streamedResponse(sdk)).rejects.toMatchObject({ code: "executor_failed" });
    await expect(sdk.responses.create({ ...response, background: true })).rejects.toMatchObject({ status: 400 });
  });
});

describe("what was changed on its way does not reach the client", () => {
  const lies: [string, (body: string) => string, unknown][] = [
    ["another text", (body) => body.replaceAll("world", "moon"), ["receipt_mismatch", "output_hash"]],
    ["no receipt", (body) => body.replaceAll('"karat":', '"other":'), "receipt_missing"],
    [
      "other counts",
      (body) => body.replaceAll(/"(completion|output)_tokens":4/g, '"$1_tokens":40'),
      ["receipt_mismatch", "usage"],
    ],
    [
      "another id",
      (body) => body.replace(/"inference_id":"../, '"inference_id":"zz'),
      ["receipt_mismatch", "inference_id"],
    ],
    [
      "somebody else as its maker",
      (body) => body.replace(/"transfer_agent":"karat1../, '"transfer_agent":"karat1zz'),
      ["receipt_mismatch", "transfer_agent"],
    ],
    ...["7", "[null,null]", '[{},{"attempt":"1"}]', '[{},{"attempt":1,"behind_tokens":-1}]'].map(
      (parts): [string, (body: string) => string, unknown] => [
        `${parts} as its parts`,
        (body) => body.replaceAll('"karat":{', `"karat":{"parts":${parts},`),
        ["receipt_mismatch", "parts"],
      ],
    ),
    [
      "a number as the text that was signed",
      (body) => body.replaceAll('"karat":{', '"karat":{"text":7,'),
      ["receipt_mismatch", "text"],
    ],
  ];
  test.each(lies)("%s", async (_name, change, failure) => {
    const me = await network.join();
    const sdk = client(me, { fetch: through(change) });
    expect(await failureOf(sdk.chat.completions.create(question))).toEqual(failure);
    const usage = { stream_options: { include_usage: true } };
    expect(await failureOf(streamed(sdk, usage))).toEqual(failure);
    expect(await failureOf(sdk.responses.create(response))).toEqual(failure);
    expect(await failureOf(streamedResponse(sdk))).toEqual(failure);
  });

  test("a response to another question", async () => {
    const me = await network.join();
    const send: typeof fetch = (input, init) =>
      fetch(input, { ...init, body: String(init?.body).replace("Be brief.", "Be long.") });
    const sdk = client(me, { fetch: send });
    const failure = ["receipt_mismatch", "request_hash"];
    expect(await failureOf(sdk.responses.create(response))).toEqual(failure);
    expect(await failureOf(streamedResponse(sdk))).toEqual(failure);
  });

  /** What an openai stream of either endpoint takes for text, though it is not where an honest node has it. */
  const chunk = (text: string) => `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: text } }] })}\n\n`;
  const otherEnds = (event: string) => event.replace("data: ", "data:").replace("\n\n", "\r\n\r\n");
  const sneaked: [string, (body: string) => string, unknown][] = [
    ["behind the receipt", (body) => body.replace("data: [DONE]", `${chunk("!")}data: [DONE]`), "events"],
    ["in an event with a name", (body) => chunk("Oh. ").replace("data: ", "event: other\ndata: ") + body, "events"],
    ["kept from readers by a name", (body) => body.replace("data: ", "event: thread.a\ndata: "), "events"],
    ["with other line ends", (body) => otherEnds(chunk("Oh. ")) + body, "output_hash"],
    [
      "with an error that is none",
      (body) => `${chunk("Oh. ").replace("{", '{"error":null,')}data: [DONE]\n\n${body}`,
      undefined,
    ],
    ["as a refusal", (body) => body.replace('"delta":{"content"', '"delta":{"refusal":"No.","content"'), "choices"],
    [
      "as thoughts",
      (body) => body.replace('"delta":{"content"', '"delta":{"reasoning_content":"Hm.","content"'),
      "choices",
    ],
    ["in another choice", (body) => body.replace('"index":0', '"index":1'), "choices"],
    [
      "in a field that nobody reads",
      (body) => body.replace(/"delta":\{("content":"[^"]+")\}/, '"delta":{},"message":{$1}'),
      "output_hash",
    ],
    ["and the end before the receipt", (body) => `data: [DONE]\n\n${body}`, undefined],
  ];
  test.each(sneaked)("text %s", async (_name, change, field) => {
    const me = await network.join();
    const failure = await failureOf(streamed(client(me, { fetch: through(change) })));
    expect(failure).toEqual(field === undefined ? "receipt_missing" : ["receipt_mismatch", field]);
  });

  const twice: [string, (body: string) => string, unknown][] = [
    [
      "at the end of its part",
      (body) => body.replace(/("type":"response.output_text.done".*)world/, "$1moon"),
      "output",
    ],
    ["in the whole at the end", (body) => body.replace(/("type":"response.completed".*)world/, "$1moon"), "output"],
    ["in a part of another kind", (body) => body.replaceAll('"output_text"', '"refusal"'), "output"],
    ["in an item of another kind", (body) => body.replaceAll('"type":"message"', '"type":"reasoning"'), "output"],
    ["before it begins", (body) => body.replace('"output":[]', '"output":[{"type":"message"}]'), "output"],
    [
      "in an event that there is not",
      (body) => body.replace("output_text.delta", "refusal.delta").replace("output_text.delta", "refusal.delta"),
      "events",
    ],
    [
      "behind the receipt",
      (body) => `${body}event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"!"}\n\n`,
      "events",
    ],
    [
      "in the name of an event",
      (body) => body.replace("event: response.output_text.delta", "event: thread.a"),
      "events",
    ],
    ["with an error that readers do not know by its name", (body) => `data: {"type":"error"}\n\n${body}`, "events"],
  ];
  test.each(twice)("a response that says something else %s", async (_name, change, field) => {
    const me = await network.join();
    const failure = await failureOf(streamedResponse(client(me, { fetch: through(change) })));
    expect(failure).toEqual(["receipt_mismatch", field]);
  });

  test("a whole answer in the place of a stream, or the reverse", async () => {
    const me = await network.join();
    const send: typeof fetch = (input, init) => {
      const { stream = false, ...body } = JSON.parse(String(init?.body)) as { stream?: boolean };
      return fetch(input, { ...init, body: JSON.stringify({ ...body, stream: !stream }) });
    };
    const sdk = client(me, { fetch: send });
    const failure = ["receipt_mismatch", "stream"];
    expect(await failureOf(sdk.chat.completions.create(question))).toEqual(failure);
    expect(await failureOf(streamed(sdk))).toEqual(failure);
    expect(await failureOf(streamedResponse(sdk))).toEqual(failure);
  });

  test("another chain's receipt", async () => {
    const me = await network.join();
    const failure = failureOf(client(me, { chainId: "other-1" }).chat.completions.create(question));
    expect(await failure).toEqual(["receipt_mismatch", "chain_id"]);
  });

  test("another call than the model wrote", async () => {
    const me = await network.join({ tokens: [writeCalls([{ name: "weather", arguments: "{}" }]), ""] });
    const change = (body: string): string => body.replace('"arguments":"{}"', '"arguments":"{ }"');
    const sdk = client(me, { fetch: through(change) });
    const failure = ["receipt_mismatch", "tool_calls"];
    expect(await failureOf(sdk.chat.completions.create({ ...question, tools: [tool] }))).toEqual(failure);
    expect(await failureOf(sdk.responses.create({ ...response, tools: [flatTool] }))).toEqual(failure);
  });

  test("a call where no function was offered", async () => {
    const me = await network.join();
    const calls = [{ id: "c", type: "function", function: { name: "pay", arguments: "{}" } }];
    const change = (body: string): string =>
      body.replace('"role":"assistant"', `"role":"assistant","tool_calls":${JSON.stringify(calls)}`);
    const sdk = client(me, { fetch: through(change) });
    const failure = ["receipt_mismatch", "tool_calls"];
    expect(await failureOf(sdk.chat.completions.create(question))).toEqual(failure);
    expect(await failureOf(streamed(sdk))).toEqual(failure);
  });

  test("a number in the place of calls", async () => {
    const me = await network.join();
    const sdk = client(me, {
      fetch: through((body) => body.replace('"role":"assistant"', '"role":"assistant","tool_calls":7')),
    });
    const failure = ["receipt_mismatch", "answer"];
    expect(await failureOf(sdk.chat.completions.create(question))).toEqual(failure);
    expect(await failureOf(streamed(sdk))).toEqual(failure);
  });

  test("a call at a place far behind the others, without the memory for what is between", async () => {
    const me = await network.join();
    const change = (body: string): string =>
      body.replace('"role":"assistant"', '"role":"assistant","tool_calls":[{"index":4000000000}]');
    const failure = await failureOf(streamed(client(me, { fetch: through(change) })));
    expect(failure).toEqual(["receipt_mismatch", "tool_calls"]);
  });
});

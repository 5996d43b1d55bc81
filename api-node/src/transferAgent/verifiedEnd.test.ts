/** How an answer ended, which the executor signs: told otherwise, it does not reach a client with the fetch of @karat/client. */
import { signMessage } from "@karat/client";
import { fromBase64, newPrivateKey, toBase64 } from "@karat/common";
import { sign } from "@karat/proto";
import { writeCalls } from "@karat/rules";
import type OpenAI from "openai";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { MlScript } from "../testing/fakeMlNode.ts";
import { TestNetwork, type TestParticipant } from "../testing/testNetwork.ts";
import {
  failureOf,
  flatTool,
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

type Change = (body: string) => string;
type Ask = (sdk: OpenAI) => Promise<unknown>;

const clientOf = (me: TestParticipant, change: Change): OpenAI =>
  verifiedClient(network, me, { fetch: through(change) });

const usage = { stream_options: { include_usage: true } };
const asks: [string, Ask, field: string][] = [
  ["a chat", (sdk) => sdk.chat.completions.create(question), "finish_reason"],
  ["a streamed chat", (sdk) => streamed(sdk), "finish_reason"],
  ["a streamed chat with usage", (sdk) => streamed(sdk, usage), "finish_reason"],
  ["a completion", (sdk) => sdk.completions.create(prompt), "finish_reason"],
  ["a streamed completion", (sdk) => streamedText(sdk), "finish_reason"],
  ["a response", (sdk) => sdk.responses.create(response), "status"],
  ["a streamed response", (sdk) => streamedResponse(sdk), "status"],
];

const DETAILS = '"incomplete_details":{"reason":"max_output_tokens"}';
const saysLength: Change = (body) =>
  body
    .replace(/"finish_reason":"\w+"/, '"finish_reason":"length"')
    .replace(/\bcompleted\b/g, "incomplete")
    .replaceAll('"incomplete_details":null', DETAILS);
const saysStop: Change = (body) =>
  body
    .replace(/"finish_reason":"\w+"/, '"finish_reason":"stop"')
    .replace(/\bincomplete\b/g, "completed")
    .replaceAll(DETAILS, '"incomplete_details":null');

describe.each(asks)("%s", (_name, ask, field) => {
  test.each<MlScript["finish"]>(["stop", "length", "stop_sequence"])("that ended with %s passes", async (finish) => {
    const me = await network.join({ finish });
    await ask(verifiedClient(network, me));
  });

  const lies: [string, MlScript["finish"], Change][] = [
    ["length where the executor signed stop", "stop", saysLength],
    ["length where the executor signed a stop sequence", "stop_sequence", saysLength],
    ["stop where the executor signed length", "length", saysStop],
  ];
  test.each(lies)("is not told %s", async (_lie, finish, change) => {
    const me = await network.join({ finish });
    expect(await failureOf(ask(clientOf(me, change)))).toEqual(["receipt_mismatch", field]);
  });

  test("comes with no response of another key, another inference, or none", async () => {
    const me = await network.join();
    let kept = "";
    const another = (key: () => Uint8Array, change: Partial<sign.ResponseReceipt> = {}): Change =>
      replaceResponse((bytes) => {
        const signed = signMessage("response", { ...sign.ResponseReceipt.decode(bytes), ...change }, key());
        return [signed.bytes, signed.signature];
      });
    const own = () => me.identity.privateKey;
    const keep: Change = (body) => {
      kept = RESPONSE.exec(body)![0];
      return body;
    };
    await ask(clientOf(me, keep));
    await ask(clientOf(me, another(own)));
    const cases: [Change, unknown][] = [
      [another(newPrivateKey), ["receipt_mismatch", "response.signature"]],
      [(body) => body.replace(RESPONSE, kept), ["receipt_mismatch", "response.inference_id"]],
      [another(own, { finishReason: sign.FinishReason.CANCELLED }), ["receipt_mismatch", "response.finish_reason"]],
      [another(own, { finishReason: sign.FinishReason.LENGTH }), ["receipt_mismatch", field]],
      [another(own, { completionTokens: 3 }), ["receipt_mismatch", "response.completion_tokens"]],
      [another(own, { outputHash: new Uint8Array(32) }), ["receipt_mismatch", "response.output_hash"]],
      [(body) => body.replace(RESPONSE, '"none":0'), "receipt_missing"],
    ];
    for (const [change, failure] of cases) expect(await failureOf(ask(clientOf(me, change)))).toEqual(failure);
  });
});

const RESPONSE = /"response":"([^"]+)","response_signature":"([^"]+)"/;
const replaceResponse =
  (change: (bytes: Uint8Array) => readonly [Uint8Array, Uint8Array]): Change =>
  (body) =>
    body.replace(RESPONSE, (_all, bytes: string) => {
      const [changed, signature] = change(fromBase64(bytes));
      return `"response":"${toBase64(changed)}","response_signature":"${toBase64(signature)}"`;
    });

describe("an answer that calls functions", () => {
  const calling = { tokens: [writeCalls([{ name: "weather", arguments: "{}" }]), ""] };
  const chats: Ask[] = [
    (sdk) => sdk.chat.completions.create({ ...question, tools: [tool] }),
    (sdk) => streamed(sdk, { tools: [tool], ...usage }),
  ];
  const responses: Ask[] = [
    (sdk) => sdk.responses.create({ ...response, tools: [flatTool] }),
    (sdk) => streamedResponse(sdk, { tools: [flatTool] }),
  ];

  test("ends with tool_calls, or with length", async () => {
    const me = await network.join(calling);
    const sdk = verifiedClient(network, me);
    for (const [finish, told] of [
      ["stop", "tool_calls"],
      ["length", "length"],
    ] as const) {
      me.ml.script.finish = finish;
      for (const ask of [...chats, ...responses]) await ask(sdk);
      const { choices } = await sdk.chat.completions.create({ ...question, tools: [tool] });
      expect(choices[0]?.finish_reason).toBe(told);
    }
  });

  test("is not told as a plain one, nor as complete where it was cut off", async () => {
    const me = await network.join(calling);
    for (const ask of chats) {
      for (const change of [saysStop, saysLength]) {
        expect(await failureOf(ask(clientOf(me, change)))).toEqual(["receipt_mismatch", "finish_reason"]);
      }
    }
    me.ml.script.finish = "length";
    for (const ask of responses) {
      expect(await failureOf(ask(clientOf(me, saysStop)))).toEqual(["receipt_mismatch", "status"]);
      const item: Change = (body) => body.replaceAll('"status":"incomplete"}', '"status":"completed"}');
      expect(await failureOf(ask(clientOf(me, item)))).toEqual(["receipt_mismatch", "status"]);
    }
  });
});

describe("a response that was cut off is not told to be complete in one place", () => {
  const places: [string, Change, field: string][] = [
    ["the name of its event", (body) => body.replaceAll("response.incomplete", "response.completed"), "status"],
    ["its status", (body) => body.replace(/("object":"response"[^{}]*)"incomplete"/, '$1"completed"'), "status"],
    ["its details", (body) => body.replace(DETAILS, '"incomplete_details":null'), "status"],
    ["its item", (body) => body.replaceAll(/("id":"msg_\w+","status":)"incomplete"/g, '$1"completed"'), "status"],
    [
      "its item at the end of that",
      (body) => body.replace(/("id":"msg_\w+","status":)"incomplete"/, '$1"completed"'),
      "output",
    ],
  ];
  test.each(places)("%s", async (_name, change, field) => {
    const me = await network.join({ finish: "length" });
    expect(await failureOf(streamedResponse(clientOf(me, change)))).toEqual(["receipt_mismatch", field]);
  });

  test("nor with an error beside its output, nor in its beginning", async () => {
    const me = await network.join();
    const error: Change = (body) => body.replaceAll('"error":null', '"error":{"code":"server_error"}');
    expect(await failureOf(streamedResponse(clientOf(me, error)))).toEqual(["receipt_mismatch", "status"]);
    const begun: Change = (body) => body.replace('"in_progress"', '"completed"');
    expect(await failureOf(streamedResponse(clientOf(me, begun)))).toEqual(["receipt_mismatch", "status"]);
  });
});

describe("the end of a stream", () => {
  const reasonsOf = async (sdk: OpenAI): Promise<unknown[]> => {
    const reasons: unknown[] = [];
    const stream = await sdk.chat.completions.create({ ...question, ...usage, stream: true });
    try {
      for await (const { choices } of stream) reasons.push(...choices.map((choice) => choice.finish_reason));
    } catch (error) {
      reasons.push((error as { code?: unknown }).code);
    }
    return reasons.filter((reason) => reason !== null);
  };

  test("is told when its receipt is here, not before", async () => {
    const me = await network.join();
    expect(await reasonsOf(verifiedClient(network, me))).toEqual(["stop"]);
    expect(await reasonsOf(clientOf(me, saysLength))).toEqual(["receipt_mismatch"]);
  });

  test("is told once, and nothing but the receipt comes behind it", async () => {
    const me = await network.join();
    const chunk = (choice: object) => `data: ${JSON.stringify({ choices: choice })}\n\n`;
    const early: Change = (body) => chunk([{ index: 0, delta: {}, finish_reason: "stop" }]) + body;
    expect(await reasonsOf(clientOf(me, early))).toEqual(["receipt_missing"]);
    const behind: Change = (body) => body.replace(/data: [^\n]*"choices":\[\]/, `${chunk([])}$&`);
    expect(await reasonsOf(clientOf(me, behind))).toEqual(["receipt_missing"]);
    const again = '"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]';
    const twice: Change = (body) =>
      body.replace('"finish_reason":"stop"', '"finish_reason":"length"').replace('"choices":[]', again);
    expect(await reasonsOf(clientOf(me, twice))).toEqual(["receipt_mismatch"]);
  });
});

describe("an answer in parts", () => {
  const TOKENS = ["One", " twö", " three", " four", ""];
  const isContinued = ({ karat }: { karat?: { parts?: unknown[] } }): boolean => karat?.parts?.length === 2;

  /** Asks until another executor had to go on. */
  async function untilContinued(sdk: OpenAI): Promise<void> {
    for (let tries = 0; tries < 60; tries++) {
      const answer = await sdk.chat.completions.create({ ...question, logprobs: true });
      expect(answer.choices[0]).toMatchObject({ message: { content: TOKENS.join("") }, finish_reason: "stop" });
      if (isContinued(answer as object)) return;
    }
    throw new Error("the draw never came out so");
  }

  test.each<[string, Partial<MlScript>]>([
    ["within", { failAfter: 2 }],
    ["behind its last token", { failAfter: TOKENS.length }],
  ])("fits the response of the executor that ended it, where another broke off %s", async (_name, script) => {
    const me = await network.join({ tokens: TOKENS });
    await network.join({ tokens: TOKENS, ...script });
    await untilContinued(verifiedClient(network, me));
    for (let tries = 0; tries < 20; tries++) expect(await streamed(verifiedClient(network, me))).toBe(TOKENS.join(""));
    const shifted: Change = (body) => body.replace(/("behind_bytes":)([1-9]\d*)/, "$10");
    expect(await failureOf(untilContinued(clientOf(me, shifted)))).toEqual([
      "receipt_mismatch",
      "response.output_hash",
    ]);
  });

  test("goes on where an ML node was stopped: what it gave is not told as a whole answer", async () => {
    const me = await network.join({ tokens: TOKENS });
    await network.join({ tokens: TOKENS.slice(0, 2), finish: "cancelled" });
    await untilContinued(verifiedClient(network, me));
  });

  test("of which nobody gave the rest is an error", async () => {
    const me = await network.join({ tokens: TOKENS.slice(0, 2), finish: "cancelled" });
    await expect(streamed(verifiedClient(network, me))).rejects.toMatchObject({ code: "executor_failed" });
  });
});

describe("what the node refuses", () => {
  const bodies: [string, Ask][] = [
    ["chats", (sdk) => sdk.chat.completions.create({ ...question, functions: [{ name: "f" }] })],
    ["chats", (sdk) => sdk.chat.completions.create({ ...question, audio: { format: "wav", voice: "ash" } })],
    ["chats", (sdk) => sdk.chat.completions.create({ ...question, modalities: ["text", "audio"] })],
    ["chats", (sdk) => sdk.chat.completions.create({ ...question, n: 2 })],
    ["completions", (sdk) => sdk.completions.create({ ...prompt, suffix: "!" })],
    ["completions", (sdk) => sdk.completions.create({ ...prompt, stream: true, suffix: "!" })],
    ["completions", (sdk) => sdk.completions.create({ ...prompt, echo: true })],
    ["responses", (sdk) => sdk.responses.create({ ...response, background: true })],
    ["responses", (sdk) => sdk.responses.create({ ...response, max_output_tokens: 0 })],
    ["responses", (sdk) => sdk.responses.create({ ...response, previous_response_id: "resp_1", stream: true })],
  ];
  test.each(bodies)("of %s is refused before it is sent, in the same words (%#)", async (_name, ask) => {
    const me = await network.join();
    const sent: unknown[] = [];
    const counting: typeof fetch = async (input, init) => {
      sent.push(input);
      return await fetch(input, init);
    };
    const errorOf = async (sdk: OpenAI): Promise<object> => {
      const { status, code, param, type, error } = await ask(sdk).then(
        () => ({}),
        (reason) => reason,
      );
      return { status, code, param, type, error };
    };
    const refused = await errorOf(verifiedClient(network, me, { fetch: counting }));
    expect(refused).toMatchObject({ status: 400, code: "invalid_request", param: expect.any(String) });
    expect(sent).toEqual([]);
    const plain = verifiedClient(network, me).withOptions({ fetch });
    expect(await errorOf(plain)).toEqual(refused);
  });
});

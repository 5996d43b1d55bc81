/** The fetch of @karat/client in the openai package: against an API node that is honest, and behind one that lies to its client. */
import { verifiedFetch } from "@karat/client";
import { writeCalls } from "@karat/rules";
import OpenAI from "openai";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { TEST_MODEL } from "../testing/fakeView.ts";
import { TestNetwork, type TestParticipant } from "../testing/testNetwork.ts";

let network: TestNetwork;
beforeEach(() => {
  network = new TestNetwork();
});
afterEach(() => network.close());

type Options = Partial<Parameters<typeof verifiedFetch>[0]>;

function client(me: TestParticipant, options: Options = {}): OpenAI {
  const { operator, publicKey } = me.identity;
  const nodeKeyOf = async (who: string) => (who === operator ? publicKey : undefined);
  const verified = verifiedFetch({ chainId: network.view.chainId, nodeKeyOf, ...options });
  return new OpenAI({ baseURL: `${me.url}/v1`, apiKey: network.apiKey, maxRetries: 0, fetch: verified });
}

const messages = [{ role: "user" as const, content: "Say hello." }];
const question = { model: TEST_MODEL, messages };
const tool = { type: "function" as const, function: { name: "weather", parameters: { type: "object" } } };

/** The code of the error, which the SDK hides behind one of its own. */
async function failureOf(call: Promise<unknown>): Promise<unknown> {
  const error: unknown = await call.then(
    () => undefined,
    (reason) => reason,
  );
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  const { code, data } = cause as { code?: string; data?: { field?: string } };
  return data?.field === undefined ? code : [code, data.field];
}

async function streamed(sdk: OpenAI, more: object = {}): Promise<string> {
  let text = "";
  const stream = await sdk.chat.completions.create({ ...question, stream: true, ...more });
  for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
  return text;
}

/** Something between the node and its client that changes what passes. */
const through =
  (change: (body: string) => string): typeof fetch =>
  async (input, init) => {
    const response = await fetch(input, init);
    const { status, headers } = response;
    return new Response(change(await response.text()), { status, headers });
  };

describe("an honest answer passes", () => {
  test("whole and streamed, of both endpoints", async () => {
    const me = await network.join();
    const sdk = client(me);
    expect((await sdk.chat.completions.create(question)).choices[0]?.message.content).toBe("Hello world");
    expect(await streamed(sdk)).toBe("Hello world");
    expect(await streamed(sdk, { stream_options: { include_usage: true }, logprobs: true, top_logprobs: 2 })).toBe(
      "Hello world",
    );
    expect((await sdk.completions.create({ model: TEST_MODEL, prompt: "Say" })).choices[0]?.text).toBe("Hello world");
    let text = "";
    const stream = await sdk.completions.create({ model: TEST_MODEL, prompt: "Say", stream: true });
    for await (const chunk of stream) text += chunk.choices[0]?.text ?? "";
    expect(text).toBe("Hello world");
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
    const ask = (sdk: OpenAI) => sdk.chat.completions.create({ model: "gpt-4o-mini", messages });
    expect((await ask(client(me, { aliases: { "gpt-4o-mini": TEST_MODEL } }))).model).toBe(TEST_MODEL);
    expect(await failureOf(ask(client(me)))).toEqual(["receipt_mismatch", "request_hash"]);
  });

  test("and the node's errors, and what is no answer, pass as they are", async () => {
    const me = await network.join();
    const sdk = client(me);
    expect((await sdk.models.list()).data).toHaveLength(1);
    await expect(sdk.chat.completions.create({ model: "other", messages })).rejects.toMatchObject({ status: 404 });
    me.ml.script.failAfter = 1;
    await expect(streamed(sdk)).rejects.toMatchObject({ code: "executor_failed" });
    expect(await failureOf(sdk.responses.create({ model: TEST_MODEL, input: "Say" }))).toBe("receipt_unsupported");
  });
});

describe("what was changed on its way does not reach the client", () => {
  const lies: [string, (body: string) => string, unknown][] = [
    ["another text", (body) => body.replaceAll("world", "moon"), ["receipt_mismatch", "output_hash"]],
    ["no receipt", (body) => body.replaceAll('"karat":', '"other":'), "receipt_missing"],
    [
      "other counts",
      (body) => body.replaceAll('"completion_tokens":4', '"completion_tokens":40'),
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
  ];
  test.each(lies)("%s", async (_name, change, failure) => {
    const me = await network.join();
    const sdk = client(me, { fetch: through(change) });
    expect(await failureOf(sdk.chat.completions.create(question))).toEqual(failure);
    const usage = { stream_options: { include_usage: true } };
    expect(await failureOf(streamed(sdk, usage))).toEqual(failure);
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
    const failure = failureOf(sdk.chat.completions.create({ ...question, tools: [tool] }));
    expect(await failure).toEqual(["receipt_mismatch", "tool_calls"]);
  });
});

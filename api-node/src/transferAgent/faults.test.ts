import { encodeApiKey } from "@karat/client";
import { newPrivateKey, toHex } from "@karat/common";
import { inference, sign } from "@karat/proto";
import { decodeArtifact } from "@karat/rules";
import OpenAI from "openai";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { TEST_MODEL } from "../testing/fakeView.ts";
import { TestNetwork, type TestParticipant } from "../testing/testNetwork.ts";

let network: TestNetwork;
beforeEach(() => {
  network = new TestNetwork();
});
afterEach(() => network.close());

const sdk = (url: string, apiKey = network.apiKey) => new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 });
const question = { model: TEST_MODEL, messages: [{ role: "user" as const, content: "Say hello." }] };
const streamed = { ...question, stream: true as const };

async function refusal(run: Promise<unknown>): Promise<[number | undefined, unknown]> {
  try {
    await run;
  } catch (error) {
    if (error instanceof OpenAI.APIError) return [error.status, error.code];
    throw error;
  }
  throw new Error("was not refused");
}

async function textOf(stream: AsyncIterable<OpenAI.ChatCompletionChunk>): Promise<string> {
  let text = "";
  for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
  return text;
}

/** Asks until the network's draw begins with `first`. */
async function untilDrawnFirst<T>(ask: () => Promise<T>, isFirst: (answer: T) => boolean): Promise<T> {
  for (let tries = 0; tries < 100; tries++) {
    const answer = await ask();
    if (isFirst(answer)) return answer;
  }
  throw new Error("never drawn first");
}

describe("a request is refused", () => {
  test("with a key that is none", async () => {
    const me = await network.join();
    expect(await refusal(sdk(me.url, "sk-other").chat.completions.create(question))).toEqual([401, "invalid_api_key"]);
    expect(await refusal(sdk(me.url, `${network.apiKey}x`).models.retrieve("none"))).toEqual([404, "model_not_found"]);
  });

  test("for a model that nobody offers", async () => {
    const me = await network.join();
    const asked = sdk(me.url).chat.completions.create({ ...question, model: "other" });
    expect(await refusal(asked)).toEqual([404, "model_not_found"]);
  });

  test.each([
    ["that is not JSON", "{", "invalid_json"],
    ["with a field of the wrong type", JSON.stringify({ ...question, temperature: "hot" }), "invalid_request"],
    ["for several answers", JSON.stringify({ ...question, n: 2 }), "invalid_request"],
  ])("with a body %s", async (_name, body, code) => {
    const me = await network.join();
    const headers = { authorization: `Bearer ${network.apiKey}` };
    const response = await fetch(`${me.url}/v1/chat/completions`, { method: "POST", headers, body });
    expect(response.status).toBe(400);
    const { error } = (await response.json()) as { error: Record<string, unknown> };
    expect(error.code).toBe(code);
    expect(Object.keys(error).sort()).toEqual(["code", "message", "param", "type"]);
  });

  test("when its body is larger than 4 MB", async () => {
    const me = await network.join();
    const long = { ...question, messages: [{ role: "user" as const, content: "x".repeat(4 * 1024 * 1024) }] };
    expect(await refusal(sdk(me.url).chat.completions.create(long))).toEqual([413, "payload_too_large"]);
  });

  test("when the prompt does not fit the context", async () => {
    const me = await network.join();
    const long = { ...question, messages: [{ role: "user" as const, content: "x".repeat(5_000) }] };
    expect(await refusal(sdk(me.url).chat.completions.create(long))).toEqual([400, "context_length_exceeded"]);
    expect(me.ml.begun).toBe(0);
  });

  test("when the deposit does not cover it, and is not tried again", async () => {
    const me = await network.join();
    const poor = encodeApiKey(newPrivateKey());
    const response = await fetch(`${me.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${poor}` },
      body: JSON.stringify({ ...question, max_tokens: 10 }),
    });
    expect(response.status).toBe(402);
    expect(response.headers.get("x-should-retry")).toBe("false");
    const { error } = (await response.json()) as { error: Record<string, unknown> };
    expect(error).toMatchObject({ code: "insufficient_deposit", available: "0" });
    expect(Number(error.needed)).toBeGreaterThan(20);
  });

  test("beyond the client's rate, with the time to wait", async () => {
    const me = await network.join({}, { limits: { perMinute: 1 } });
    await sdk(me.url).chat.completions.create(question);
    const second = sdk(me.url).chat.completions.create(question);
    const error = await second.catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ status: 429, code: "rate_limit_exceeded" });
    const { headers } = error as InstanceType<typeof OpenAI.APIError>;
    expect(headers?.get("retry-after")).toBe("60");
    expect(headers?.get("x-ratelimit-remaining-requests")).toBe("0");
    expect(headers?.get("x-ratelimit-reset-requests")).toBe("1m0s");
  });

  test("beyond the client's tokens, which count as asked for and are corrected by what was used", async () => {
    const me = await network.join({}, { limits: { tokensPerMinute: 1_000, now: () => 0 } });
    const ask = () =>
      sdk(me.url)
        .chat.completions.create({ ...question, max_tokens: 150 })
        .withResponse();
    const left = ({ headers }: Response): number => Number(headers.get("x-ratelimit-remaining-tokens"));
    const { data, response } = await ask();
    const { prompt_tokens: prompt, total_tokens: used } = data.usage!;
    expect(response.headers.get("x-ratelimit-limit-tokens")).toBe("1000");
    // Of the prompt, its bytes and what is reckoned for a template.
    const bound = 850 - left(response);
    expect(bound).toBeGreaterThan(prompt);
    expect(left((await ask()).response)).toBe(850 - bound - used);
    // Near the end the prompt is counted.
    const error = await sdk(me.url)
      .chat.completions.create({ ...question, max_tokens: 970 })
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ status: 429, code: "rate_limit_exceeded" });
    const { headers } = error as InstanceType<typeof OpenAI.APIError>;
    expect(headers?.get("x-ratelimit-remaining-tokens")).toBe(String(1_000 - 2 * used));
    expect(headers?.get("retry-after")).toBe(String(Math.ceil(((970 + prompt - 1_000 + 2 * used) * 60) / 1_000)));
  });

  test("on an unknown path, with an error object", async () => {
    const me = await network.join();
    expect(await refusal(sdk(me.url).images.generate({ model: "m", prompt: "x" }))).toEqual([404, "not_found"]);
  });
});

describe("failover", () => {
  test("a busy executor is passed over with its signature", async () => {
    const me = await network.join({ refuse: { status: 429, code: "overloaded" } });
    await network.join();
    const { response } = await untilDrawnFirst(
      () => sdk(me.url).chat.completions.create(question).withResponse(),
      (answer) => answer.response.headers.get("x-karat-attempts") === "2",
    );
    expect(response.status).toBe(200);
    const skipped = me.records
      .filter(({ kind }) => kind === "start")
      .map(({ record }) => inference.StartRecord.decode(record).skips)
      .find((skips) => skips.length === 1);
    expect(skipped?.[0]?.reason).toBe("busy");
    expect(skipped?.[0]?.busySignature).toHaveLength(64);
  });

  test.each([
    ["an executor that dies before its first token", { dieAfter: 0 }],
    ["an executor that says nothing after its receipt", { hangAfter: 0 }],
  ])("%s is passed over", async (_name, script) => {
    const me = await network.join({}, { idleMs: 300 });
    const peer = await network.join(script);
    const { response } = await untilDrawnFirst(
      () => sdk(me.url).chat.completions.create(streamed).withResponse(),
      (answer) => answer.response.headers.get("x-karat-attempts") === "2",
    );
    expect(response.headers.get("x-karat-executor")).toBe(me.identity.operator);
    expect(peer.records.every(({ kind }) => kind === "finish")).toBe(true); // and no start, to its own harm
  });

  test("an executor whose server is gone is passed over", async () => {
    const me = await network.join();
    const peer = await network.join();
    await peer.node.close();
    for (let i = 0; i < 6; i++) {
      expect(await textOf(await sdk(me.url).chat.completions.create(streamed))).toBe("Hello world");
    }
  });

  test("an executor whose process ends between receipt and first token is passed over at once", async () => {
    const me = await network.join();
    const peer = await network.join({ hangAfter: 0 });
    const asked = Promise.all(Array.from({ length: 8 }, () => sdk(me.url).chat.completions.create(question)));
    await vi.waitFor(() => expect(peer.ml.begun).toBeGreaterThan(0));
    await peer.node.close();
    expect((await asked).map(({ choices }) => choices[0]?.message.content)).toEqual(Array(8).fill("Hello world"));
  });

  test("when nobody answers, 503 says so and when to come again", async () => {
    const me = await network.join({ refuse: { status: 429, code: "overloaded" } });
    const error = await sdk(me.url)
      .chat.completions.create(question)
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ status: 503, code: "no_executor" });
    expect((error as InstanceType<typeof OpenAI.APIError>).headers?.get("retry-after")).toBe("2");
  });
});

describe("after the first token", () => {
  const broken = async (me: TestParticipant): Promise<[string, unknown]> => {
    const stream = await sdk(me.url).chat.completions.create(streamed);
    let text = "";
    try {
      for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
    } catch (error) {
      return [text, (error as InstanceType<typeof OpenAI.APIError>).code];
    }
    return [text, undefined];
  };

  test("a death is told in the stream, and the executor records its failure", async () => {
    const me = await network.join({ dieAfter: 2 });
    expect(await broken(me)).toEqual(["Hello", "executor_failed"]);
    const finish = me.records.find(({ kind }) => kind === "finish");
    expect(inference.FinishRecord.decode(finish!.record).error).toBe("ml_unreachable");
  });

  test("silence is an error in the stream too, not a hang", async () => {
    const me = await network.join({ hangAfter: 2 }, { idleMs: 300 });
    expect(await broken(me)).toEqual(["Hello", "executor_failed"]);
  });

  test("an answer that was not streamed is asked for again", async () => {
    const me = await network.join({ dieAfter: 2 });
    const peer = await network.join();
    const answer = await sdk(me.url).chat.completions.create(question);
    expect(answer.choices[0]?.message.content).toBe("Hello world");
    expect(peer.ml.begun).toBeGreaterThan(0);
  });

  test("an answer other than its tokens is refused, streamed or not", async () => {
    const me = await network.join({ claim: "Something else" });
    expect(await broken(me)).toEqual(["Hello world", "executor_failed"]);
    expect(await refusal(sdk(me.url).chat.completions.create(question))).toEqual([502, "executor_failed"]);
    expect(me.records.some(({ kind }) => kind === "delivery")).toBe(false);
  });

  test.each([["its own"], ["a peer's"]])(
    "a client that leaves cancels the computation on %s ML node",
    async (whose) => {
      const slow = { tokens: Array.from({ length: 200 }, () => "x"), delayMs: 20 };
      const me = await network.join(whose === "its own" ? slow : { refuse: { status: 429, code: "overloaded" } });
      const computing = whose === "its own" ? me : await network.join(slow);
      const stream = await sdk(me.url).chat.completions.create(streamed);
      for await (const chunk of stream) if (chunk.choices[0]?.delta.content) break;
      await vi.waitFor(() => expect(computing.ml.cancelled).toBe(1));
      await vi.waitFor(() => {
        const { record } = computing.records.find(({ kind }) => kind === "finish")!;
        const { finishReason, tokenIds, inferenceId } = inference.FinishRecord.decode(record);
        // In no transaction: it opens to validators that have committed to values of their own.
        const { artifact } = computing.payloads
          .map(({ bytes }) => finishRecordOf(bytes))
          .find((kept) => kept !== undefined && toHex(kept.inferenceId) === toHex(inferenceId))!;
        expect(finishReason).toBe(sign.FinishReason.CANCELLED);
        const length = tokenIds.length;
        expect(decodeArtifact(artifact, { length, vocabularySize: 300 }).positions).toHaveLength(length);
        const delivery = me.records.find(({ kind }) => kind === "delivery");
        expect(inference.DeliveryRecord.decode(delivery!.record).complete).toBe(false);
      });
      // Nobody takes the closed connection for a fault of the ML node.
      computing.ml.script.tokens = ["Again"];
      expect(await textOf(await sdk(me.url).chat.completions.create(streamed))).toBe("Again");
    },
  );

  test("a client that does not stream and leaves cancels the computation too", async () => {
    const me = await network.join({ tokens: Array.from({ length: 200 }, () => "x"), delayMs: 20 });
    const controller = new AbortController();
    const asked = sdk(me.url).chat.completions.create(question, { signal: controller.signal });
    await vi.waitFor(() => expect(me.ml.begun).toBe(1));
    controller.abort();
    await expect(asked).rejects.toBeInstanceOf(OpenAI.APIUserAbortError);
    await vi.waitFor(() => expect(me.ml.cancelled).toBe(1));
  });
});

test("models with an offer are listed and can be asked for", async () => {
  const me = await network.join();
  const list = await sdk(me.url).models.list();
  expect(list.data.map(({ id }) => id)).toEqual([TEST_MODEL]);
  expect((await sdk(me.url).models.retrieve(TEST_MODEL)).object).toBe("model");
});

test("a node that stops finishes what runs and takes nothing new", async () => {
  const me = await network.join({ tokens: Array.from({ length: 20 }, () => "x"), delayMs: 10 });
  const stream = await sdk(me.url).chat.completions.create(streamed);
  const closing = me.node.close(10_000);
  expect(await textOf(stream)).toBe("x".repeat(20));
  await closing;
  await expect(sdk(me.url).chat.completions.create(question)).rejects.toBeInstanceOf(OpenAI.APIConnectionError);
});

/** A request is JSON and decodes as nothing. */
function finishRecordOf(bytes: Uint8Array): inference.FinishRecord | undefined {
  try {
    return inference.FinishRecord.decode(bytes);
  } catch {
    return undefined;
  }
}

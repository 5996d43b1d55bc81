import { continuationId, receivedParts, verifyBytes, verifyDelivery } from "@karat/client";
import { fromBase64, fromHex, KaratError, publicKeyOf, toHex } from "@karat/common";
import { inference, sign } from "@karat/proto";
import { samplingSeed, sha256, tokensHash } from "@karat/rules";
import OpenAI from "openai";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { MlScript } from "../testing/fakeMlNode.ts";
import { TEST_CHAIN, TEST_MODEL } from "../testing/fakeView.ts";
import { TestNetwork, type TestParticipant } from "../testing/testNetwork.ts";

let network: TestNetwork;
beforeEach(() => {
  network = new TestNetwork();
});
afterEach(() => network.close());

const TOKENS = ["One", " two", " three", " four", " five", ""];
const TEXT = "One two three four five";
const question = { model: TEST_MODEL, messages: [{ role: "user" as const, content: "Count." }], logprobs: true };

interface PartShown {
  readonly inference_id: string;
  readonly executor: string;
  readonly attempt: number;
  readonly behind_tokens: number;
  readonly behind_bytes: number;
  readonly prefix_hash: string;
}

interface Answer {
  readonly id: string;
  readonly executor: string;
  readonly text: string;
  /** Tokens as the log-probabilities list them. */
  readonly tokens: readonly string[];
  readonly roles: number;
  readonly finish: string | null;
  readonly usage: OpenAI.CompletionUsage | null | undefined;
  readonly karat: { parts?: PartShown[] } & Record<string, unknown>;
}

async function stream(me: TestParticipant): Promise<Answer> {
  const openai = new OpenAI({ baseURL: `${me.url}/v1`, apiKey: network.apiKey, maxRetries: 0 });
  const { data, response } = await openai.chat.completions
    .create({ ...question, stream: true, stream_options: { include_usage: true } })
    .withResponse();
  const answer = { text: "", tokens: [] as string[], roles: 0, finish: null as string | null };
  let usage: OpenAI.CompletionUsage | null | undefined;
  let karat: Answer["karat"] = {};
  for await (const chunk of data) {
    const choice = chunk.choices[0];
    answer.text += choice?.delta.content ?? "";
    answer.tokens.push(...(choice?.logprobs?.content ?? []).map(({ token }) => token));
    if (choice?.delta.role) answer.roles++;
    answer.finish = choice?.finish_reason ?? answer.finish;
    usage = chunk.usage ?? usage;
    if ("karat" in chunk) karat = chunk.karat as Answer["karat"];
  }
  const header = (name: string): string => response.headers.get(name)!;
  return { ...answer, usage, karat, id: header("x-karat-inference-id"), executor: header("x-karat-executor") };
}

/** Asks until the draw begins with `first`. */
async function untilBegunBy(me: TestParticipant, first: TestParticipant): Promise<Answer> {
  for (let tries = 0; tries < 60; tries++) {
    const answer = await stream(me);
    expect(answer.text).toBe(TEXT);
    if (answer.executor === first.identity.operator) return answer;
  }
  throw new Error("the draw never came out so");
}

const whole = (answer: Answer): void => {
  expect(answer).toMatchObject({ text: TEXT, tokens: TOKENS, roles: 1, finish: "stop" });
  expect(answer.usage).toMatchObject({ completion_tokens: TOKENS.length });
};

describe("an executor that breaks off behind its first tokens", () => {
  test.each<[string, Partial<MlScript>]>([
    ["whose ML node dies", { dieAfter: 3 }],
    ["whose ML node tells an error", { failAfter: 3 }],
    ["whose ML node writes what is no answer", { garbleAfter: 3 }],
    ["that freezes", { hangAfter: 3 }],
  ])("%s: the next of the draw goes on, without a gap or a repeat", async (_name, script) => {
    const me = await network.join({ tokens: TOKENS }, { leastStallMs: 2_000 });
    const failing = await network.join({ tokens: TOKENS, ...script });
    const answer = await untilBegunBy(me, failing);
    whole(answer);
    const order = fromHex(answer.id);
    const part = continuationId({ chainId: TEST_CHAIN, orderId: order, attempt: 1, prefix: [0, 1, 2] });
    expect(answer.karat.parts).toMatchObject([
      { inference_id: answer.id, executor: failing.identity.operator, behind_tokens: 0 },
      { inference_id: toHex(part), executor: me.identity.operator, behind_tokens: 3, behind_bytes: 13 },
    ]);
    const body = me.ml.bodies.find(({ inference_id }) => inference_id === toHex(part))!;
    expect(body.prefix_token_ids).toEqual([0, 1, 2]);
    const seed = samplingSeed(TEST_CHAIN, order, network.view.beacon(network.view.current - 1n)!, new Uint8Array());
    expect(body.seed).toBe(toHex(seed));
  });

  test("whose process ends: the next goes on at once", async () => {
    const me = await network.join({ tokens: TOKENS });
    const failing = await network.join({ tokens: TOKENS, hangAfter: 2 });
    const asked = Promise.all(Array.from({ length: 8 }, () => stream(me)));
    await vi.waitFor(() => expect(failing.ml.begun).toBeGreaterThan(0));
    await failing.node.close();
    for (const answer of await asked) whole(answer);
  });

  test("is followed by more than one, when they break off too", async () => {
    const me = await network.join({ tokens: TOKENS });
    const first = await network.join({ tokens: TOKENS, failAfter: 1 });
    await network.join({ tokens: TOKENS, failAfter: 4 });
    for (let tries = 0; tries < 60; tries++) {
      const answer = await stream(me);
      whole(answer);
      if (answer.karat.parts?.length === 3) {
        expect(answer.karat.parts.map(({ behind_tokens }) => behind_tokens)).toEqual([0, 1, 4]);
        expect(answer.executor).toBe(first.identity.operator);
        return;
      }
    }
    throw new Error("the draw never came out so");
  });

  test("behind its last token, before the end: the last token is asked for once more and told once", async () => {
    const me = await network.join({ tokens: TOKENS });
    const failing = await network.join({ tokens: TOKENS, failAfter: TOKENS.length });
    const answer = await untilBegunBy(me, failing);
    whole(answer);
    expect(answer.karat.parts?.[1]?.behind_tokens).toBe(TOKENS.length - 1);
  });

  test("is continued by one that was busy a moment before", async () => {
    const me = await network.join({ tokens: TOKENS });
    const failing = await network.join({ tokens: TOKENS, failAfter: 2, delayMs: 30 });
    me.ml.script.refuse = { status: 429, code: "overloaded" };
    const asked = stream(me);
    await vi.waitFor(() => expect(failing.ml.begun).toBe(1));
    setTimeout(() => {
      me.ml.script.refuse = undefined;
    }, 300);
    whole(await asked);
  });

  test("and another answer behind the seam than the one the client has is not told", async () => {
    const me = await network.join({ tokens: [...TOKENS.slice(0, -1), "!"] });
    const failing = await network.join({ tokens: TOKENS, failAfter: TOKENS.length });
    for (let tries = 0; tries < 60; tries++) {
      const answer = await stream(me).catch((error: unknown) => error);
      if (!(answer instanceof OpenAI.APIError)) continue;
      expect(answer.code).toBe("executor_failed");
      expect(failing.ml.begun).toBeGreaterThan(0);
      return;
    }
    throw new Error("the draw never came out so");
  });

  test("more often than any executor fails, is continued each time: the others are paid for it", async () => {
    const me = await network.join({ tokens: TOKENS });
    await network.join({ tokens: TOKENS, failAfter: 3 });
    let continued = 0;
    for (let tries = 0; tries < 200 && continued < 12; tries++) {
      const answer = await stream(me);
      whole(answer);
      if ((answer.karat.parts?.length ?? 0) > 1) continued++;
    }
    expect(continued).toBe(12);
  });

  test("is continued by a peer when it is the transfer agent's own, whose receipt nobody had signed", async () => {
    const me = await network.join({ tokens: TOKENS, failAfter: 3 });
    const other = await network.join({ tokens: TOKENS });
    const { id, karat } = await untilBegunBy(me, me);
    expect(karat.parts![1]!.executor).toBe(other.identity.operator);
    const start = other.records.find(({ kind, inferenceId }) => kind === "start" && toHex(inferenceId) === id)!;
    const { receipt, receiptSignature } = inference.StartRecord.decode(start.record);
    expect(verifyBytes(receipt, receiptSignature, publicKeyOf(me.identity.privateKey))).toBe(true);
  });

  test("is on chain in two parts: the start of the order at once, the start, finish and delivery of what another gave", async () => {
    const me = await network.join({ tokens: TOKENS });
    const failing = await network.join({ tokens: TOKENS, failAfter: 3 });
    const { id, karat } = await untilBegunBy(me, failing);
    const part = karat.parts![1]!.inference_id;
    const kindsOf = (one: string) =>
      me.records.filter(({ inferenceId }) => toHex(inferenceId) === one).map(({ kind }) => kind);
    expect(kindsOf(id)).toEqual(["start", "delivery"]);
    // This participant is its transfer agent and the executor of the second part: one start.
    await vi.waitFor(() => expect(kindsOf(part).toSorted()).toEqual(["delivery", "finish", "start"]));
    const of = (one: string, kind: string) =>
      me.records.find((record) => record.kind === kind && toHex(record.inferenceId) === one)!;
    expect(of(id, "start").notBefore).toBeUndefined();
    expect(of(part, "start").notBefore).toBeUndefined();
    const start = inference.StartRecord.decode(of(part, "start").record);
    expect(start).toMatchObject({ prefix: { tokens: 3, hash: tokensHash([0, 1, 2]) }, request: new Uint8Array() });
    expect(start.authorization).toEqual(inference.StartRecord.decode(of(id, "start").record).authorization);
    const finish = inference.FinishRecord.decode(of(part, "finish").record);
    expect(finish).toMatchObject({ completionTokens: 3, prefixTokenIds: [0, 1, 2], tokenIds: [3, 4, 5] });
    expect(finish.promptTokens).toBe(finish.receiptPromptTokens);
    expect(inference.DeliveryRecord.decode(of(id, "delivery").record).complete).toBe(false);
    const delivery = inference.DeliveryRecord.decode(of(part, "delivery").record);
    expect(delivery.complete).toBe(true);
    const statement = sign.ResponseReceipt.decode(delivery.response);
    expect(toHex(statement.inferenceId)).toBe(part);
    // What was missed of the first part is recorded by its executor, if it can.
    await vi.waitFor(() => expect(failing.records.some(({ inferenceId }) => toHex(inferenceId) === id)).toBe(true));
    // Validators find the tokens before a part in its payload.
    const root = sha256(delivery.response);
    const payload = me.payloads.find(({ hash }) => toHex(hash) === toHex(root))!;
    expect(inference.FinishRecord.decode(payload.bytes).prefixTokenIds).toEqual([0, 1, 2]);
  });

  test("tells its parts in a receipt that the client verifies by default", async () => {
    const me = await network.join({ tokens: TOKENS });
    const failing = await network.join({ tokens: TOKENS, failAfter: 3 });
    const { karat } = await untilBegunBy(me, failing);
    const parts = receivedParts(karat.parts);
    const check = {
      requestHash: fromHex(String(karat.request_hash)),
      text: TEXT,
      receipt: fromBase64(String(karat.receipt)),
      signature: fromBase64(String(karat.signature)),
      nodeKey: publicKeyOf(me.identity.privateKey),
      parts,
    };
    const receipt = verifyDelivery(check);
    // Six tokens once, and one prompt.
    const { promptTokens, completionTokens, cost } = receipt;
    expect({ completionTokens, cost }).toEqual({ completionTokens: 6, cost: BigInt(promptTokens) + 6n * 2n });
    const mismatch = (change: Partial<typeof check>) => {
      expect(() => verifyDelivery({ ...check, ...change })).toThrow(KaratError);
    };
    mismatch({ parts: [] });
    mismatch({ parts: [{ ...parts[0]!, attempt: 2 }] });
    mismatch({ parts: [...parts, ...parts] });
  });

  test("an answer that is not streamed goes on in the same way", async () => {
    const me = await network.join({ tokens: TOKENS });
    const failing = await network.join({ tokens: TOKENS, failAfter: 3 });
    const openai = new OpenAI({ baseURL: `${me.url}/v1`, apiKey: network.apiKey, maxRetries: 0 });
    for (let tries = 0; tries < 60; tries++) {
      const { data, response } = await openai.chat.completions.create(question).withResponse();
      expect(data.choices[0]?.message.content).toBe(TEXT);
      expect(data.usage?.completion_tokens).toBe(TOKENS.length);
      if (response.headers.get("x-karat-executor") !== failing.identity.operator) continue;
      const { karat } = data as unknown as { karat: Answer["karat"] };
      const receipt = sign.DeliveryReceipt.decode(fromBase64(String(karat.receipt)));
      expect(receipt.outputHash).toEqual(sha256(Buffer.from(TEXT)));
      expect(karat.parts).toHaveLength(2);
      return;
    }
    throw new Error("the draw never came out so");
  });

  test("records what it did, and the client is charged for none of it twice", async () => {
    const me = await network.join({ tokens: TOKENS }, { leastStallMs: 2_000 });
    const frozen = await network.join({ tokens: TOKENS, hangAfter: 3 });
    const { id } = await untilBegunBy(me, frozen);
    // Called off, it records what it gave: it was there, whatever the transfer agent says of it.
    await vi.waitFor(() => {
      const own = frozen.records.filter(({ inferenceId }) => toHex(inferenceId) === id);
      const finish = own.find(({ kind }) => kind === "finish")!;
      expect(inference.FinishRecord.decode(finish.record)).toMatchObject({ completionTokens: 3, error: "" });
    });
    const delivery = me.records.find(({ kind, inferenceId }) => kind === "delivery" && toHex(inferenceId) === id)!;
    expect(inference.DeliveryRecord.decode(delivery.record).complete).toBe(false);
  });
});

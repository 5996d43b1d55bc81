import { toHex } from "@karat/common";
import { inference, sign } from "@karat/proto";
import OpenAI from "openai";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { TEST_MODEL } from "../testing/fakeView.ts";
import { TestNetwork, type TestParticipant } from "../testing/testNetwork.ts";
import { HedgeBudget } from "./hedging.ts";
import { ReceiptTimeouts } from "./receiptTimeouts.ts";

let network: TestNetwork;
beforeEach(() => {
  network = new TestNetwork();
});
afterEach(() => network.close());

/** An executor that nobody knows yet is hedged after 50 ms, as one would be that is known to be fast. */
const receipts = { leastHedgeMs: 50, mostHedgeMs: 50 };
const hedges = { share: 1 };

interface Asked {
  readonly id: string;
  readonly executor: string;
  readonly attempts: number;
}

async function ask(me: TestParticipant, content = "Say hello."): Promise<Asked> {
  const openai = new OpenAI({ baseURL: `${me.url}/v1`, apiKey: network.apiKey, maxRetries: 0 });
  const request = { model: TEST_MODEL, messages: [{ role: "user" as const, content }] };
  const { data, response } = await openai.chat.completions.create(request).withResponse();
  expect(data.choices[0]?.message.content).toBe("Hello world");
  const header = (name: string): string => response.headers.get(name)!;
  return {
    id: header("x-karat-inference-id"),
    executor: header("x-karat-executor"),
    attempts: Number(header("x-karat-attempts")),
  };
}

async function askUntil(me: TestParticipant, isIt: (asked: Asked) => boolean): Promise<Asked> {
  for (let tries = 0; tries < 60; tries++) {
    const asked = await ask(me);
    if (isIt(asked)) return asked;
  }
  throw new Error("the draw never came out so");
}

/** The start records of an inference, wherever they were written. */
const startsOf = (id: string): inference.StartRecord[] =>
  network.participants
    .flatMap(({ records }) => records)
    .filter(({ kind, inferenceId }) => kind === "start" && toHex(inferenceId) === id)
    .map(({ record }) => inference.StartRecord.decode(record));

const kindsOf = ({ records }: TestParticipant, id: string): string[] =>
  records.filter(({ inferenceId }) => toHex(inferenceId) === id).map(({ kind }) => kind);

const hasFinished = ({ records }: TestParticipant, id: string): boolean =>
  records
    .filter(({ kind, inferenceId }) => kind === "finish" && toHex(inferenceId) === id)
    .map(({ record }) => inference.FinishRecord.decode(record).finishReason)
    .some((reason) => reason !== sign.FinishReason.CANCELLED);

describe("a slow executor", () => {
  test("is overtaken by the next of the order; there is one start record, and it says who was slow", async () => {
    const me = await network.join({}, { receipts, hedges });
    const slow = await network.join({ tokenizeMs: 400, delayMs: 200 });
    const { id, executor } = await askUntil(me, ({ attempts }) => attempts === 2);
    expect(executor).toBe(me.identity.operator);
    const [start, ...more] = startsOf(id);
    expect(more).toEqual([]);
    expect(start!.skips).toEqual([{ reason: "slow", busySignature: new Uint8Array() }]);
    expect(sign.Receipt.decode(start!.receipt)).toMatchObject({ attempt: 1, executor });
    await vi.waitFor(() => expect(slow.ml.cancelled).toBe(slow.ml.begun));
    expect(kindsOf(slow, id)).toEqual([]);
    expect(kindsOf(me, id).sort()).toEqual(["delivery", "finish", "start"]);
  });

  test("answers after all when its receipt is first: the other is called off and records nothing", async () => {
    const me = await network.join({ tokenizeMs: 150 }, { receipts, hedges });
    const other = await network.join({ tokenizeMs: 1_000, delayMs: 500 });
    const { id, executor } = await askUntil(me, ({ attempts }) => attempts === 1 && other.ml.begun > 0);
    expect(executor).toBe(me.identity.operator);
    expect(startsOf(id).map(({ skips }) => skips)).toEqual([[]]);
    await vi.waitFor(() => expect(other.ml.cancelled).toBe(other.ml.begun));
    expect(other.records).toEqual([]);
  });

  test("and the one asked beside it may both promise: one is charged, and the other has nothing to miss", async () => {
    // Both receipts are there at about the same time, long before a first token.
    const me = await network.join(
      { tokenizeMs: 120, delayMs: 100 },
      { hedges, receipts: { leastHedgeMs: 5, mostHedgeMs: 5 } },
    );
    const other = await network.join({ tokenizeMs: 120, delayMs: 100 });
    const answers = await Promise.all(Array.from({ length: 6 }, () => ask(me)));
    for (const { id, executor } of answers) {
      // Both may record a start; the transfer agent's word is which of them it was, and it does not wait.
      const start = me.records.find(({ kind, inferenceId }) => kind === "start" && toHex(inferenceId) === id)!;
      const { receipt } = inference.StartRecord.decode(start.record);
      expect([start.notBefore, sign.Receipt.decode(receipt).executor]).toEqual([undefined, executor]);
      // One that is called off behind its first token tells what it has.
      const finishers = [me, other].filter((participant) => hasFinished(participant, id));
      expect(finishers.map(({ identity }) => identity.operator)).toEqual([executor]);
    }
    await vi.waitFor(() => expect(me.ml.cancelled + other.ml.cancelled).toBe(me.ml.begun + other.ml.begun - 6));
  });

  test("is waited for when the budget of hedges is spent", async () => {
    const me = await network.join({}, { receipts, hedges: { burst: 0 } });
    const slow = await network.join({ tokenizeMs: 200 });
    const { executor } = await askUntil(me, (asked) => asked.executor === slow.identity.operator);
    expect(executor).toBe(slow.identity.operator);
  });

  test("is not called off for one that turns out to be busy (the flake of the test below)", async () => {
    const me = await network.join(
      { refuse: { status: 429, code: "overloaded" }, refuseMs: 30 },
      { receipts: { leastMs: 5_000, leastHedgeMs: 5, mostHedgeMs: 5 }, hedges },
    );
    const slow = await network.join({ tokenizeMs: 100 });
    for (let i = 0; i < 8; i++) expect((await ask(me, `Say hello ${i}.`)).executor).toBe(slow.identity.operator);
    expect(slow.ml).toMatchObject({ begun: 8, cancelled: 0 });
  });

  test("that is beside a busy one leaves the turn to the third", async () => {
    const me = await network.join({ refuse: { status: 429, code: "overloaded" } }, { receipts, hedges });
    const slow = await network.join({ tokenizeMs: 2_000 });
    const third = await network.join();
    const asked = await askUntil(
      me,
      ({ id, attempts }) => attempts === 3 && startsOf(id)[0]?.skips[0]?.reason === "slow",
    );
    expect(asked.executor).toBe(third.identity.operator);
    const [start] = startsOf(asked.id);
    expect(start!.skips.map(({ reason }) => reason)).toEqual(["slow", "busy"]);
    expect(start!.skips[1]!.busySignature).toHaveLength(64);
    expect(kindsOf(slow, asked.id)).toEqual([]);
  });
});

test("a request that nobody took at first is ordered anew: executors that were busy for a moment do not fail it", async () => {
  const me = await network.join({ refuse: { status: 429, code: "overloaded" } });
  const asked = ask(me);
  await new Promise((resolve) => setTimeout(resolve, 100));
  me.ml.script.refuse = undefined;
  expect((await asked).attempts).toBe(1);
  expect(me.records.map(({ kind }) => kind).sort()).toEqual(["delivery", "finish", "start"]);
});

describe("the time until an executor is hedged", () => {
  test("is the 95th percentile of its latest receipts, within bounds", () => {
    const timeouts = new ReceiptTimeouts({ leastHedgeMs: 10, mostHedgeMs: 500 });
    expect(timeouts.hedgeOf("a")).toBe(500);
    for (let i = 1; i <= 100; i++) timeouts.answered("a", i <= 60 ? 400 : i - 60); // the latest 40: 1 … 40
    expect(timeouts.hedgeOf("a")).toBe(38);
    for (let i = 0; i < 40; i++) timeouts.answered("a", 1);
    expect(timeouts.hedgeOf("a")).toBe(10);
    for (let i = 0; i < 40; i++) timeouts.outrun("a", 2_000);
    expect(timeouts.hedgeOf("a")).toBe(500);
  });

  test("has a budget: a burst, then a share of the requests", () => {
    const budget = new HedgeBudget({ share: 0.5, burst: 2 });
    expect([budget.take(), budget.take(), budget.take()]).toEqual([true, true, false]);
    budget.earn();
    expect(budget.take()).toBe(false);
    budget.earn();
    expect(budget.take()).toBe(true);
    for (let i = 0; i < 100; i++) budget.earn();
    expect([budget.take(), budget.take(), budget.take()]).toEqual([true, true, false]);
  });
});

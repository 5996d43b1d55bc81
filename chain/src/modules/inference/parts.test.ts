/** Answers that another executor goes on with: docs/adr/0011. */
import { sha256, signDigest, utf8 } from "@karat/common";
import { encodeSigned, inference, refOf, sign } from "@karat/proto";
import { tokensHash } from "@karat/rules";
import { beforeEach, describe, expect, test } from "vitest";
import { DEPOSITED, MAX_OUTPUT, PRICE, type RequestOptions, TestNetwork } from "../testing/network.ts";
import { type PartOptions, partOf } from "../testing/parts.ts";
import { deliveryOf, finishOf, PROMPT_TOKENS, type Request } from "../testing/records.ts";
import { DELIVERY_BLOCKS } from "./endBlock.ts";
import { ERRORS } from "./errors.ts";

const Status = inference.InferenceStatus;
const { FinishReason } = sign;
const PREFIX = 3;
const PROMPT = BigInt(PROMPT_TOKENS) * PRICE.input;
/** Prompt, and the output up to the seam. */
const FIRST = PROMPT + BigInt(PREFIX) * PRICE.output;
/** A client that would have paid a dearer executor: twice the prompt's price is left for those who read it again. */
const GENEROUS: RequestOptions = { authorization: { maxInputPrice: 3n * PRICE.input } };
/** Prompt and prefix, and the rest of the output. */
const READING = BigInt(PROMPT_TOKENS + PREFIX) * PRICE.input;
const REST = BigInt(MAX_OUTPUT - PREFIX) * PRICE.output;

let network = new TestNetwork();
beforeEach(() => {
  network = new TestNetwork();
});

const ordered = (options: RequestOptions = {}): Request => {
  const order = network.request(options);
  expect(network.start([order.record])).toEqual([0]);
  return order;
};
const goOn = (order: Request, options: PartOptions = {}): Request => {
  const part = partOf(network, order, options);
  expect(network.start([part.record])).toEqual([0]);
  return part;
};
const codeOf = (order: Request, options: PartOptions) => network.start([partOf(network, order, options).record])[0];
const finish = (request: Request, change: Partial<inference.FinishRecord> = {}) =>
  network.finish([finishOf(request, change)], request.executor)[0];
const finishPart = (part: Request, change: Partial<inference.FinishRecord> = {}) => {
  const promptTokens = PROMPT_TOKENS + PREFIX;
  return finish(part, { promptTokens, receiptPromptTokens: promptTokens, ...change });
};
const cancelled = (completionTokens: number) => ({ finishReason: FinishReason.CANCELLED, completionTokens });

describe("a part", () => {
  test("takes the rest of the output over, and is read at the input price with its prefix, as far as that was signed for", () => {
    const order = ordered(GENEROUS);
    const part = goOn(order);
    expect(network.record(part)).toMatchObject({
      client: network.client.address,
      executor: part.executor,
      attempt: 1,
      status: Status.STARTED,
      locked: READING + REST,
      maxOutputTokens: MAX_OUTPUT,
      part: { orderId: order.id, prefixTokens: PREFIX, prefixHash: tokensHash([4, 5, 6]) },
    });
    expect(network.record(order)).toMatchObject({
      locked: FIRST,
      status: Status.STARTED,
      continued: { by: refOf(part.id), at: PREFIX },
    });
    expect(network.deposit().locked).toBe(FIRST + READING + REST);
    expect(network.chain.eventsOf("inference_start")).toMatchObject([{}, { prefix_tokens: "3", attempt: "1" }]);
    expect(network.rewards.calls).toEqual([`assigned ${order.executor} 3`, `assigned ${part.executor} 3`]);
    network.assertInvariants();
  });

  test("leaves the client with one prompt to pay, though it signed for a longer one", () => {
    const order = ordered({ authorization: { maxInputTokens: 5 * PROMPT_TOKENS } });
    const part = goOn(order);
    expect(network.record(part)?.locked).toBe(REST);
    expect(network.deposit().locked).toBe(FIRST + REST);
    network.assertInvariants();
  });

  test("that states a shorter prompt than was held for is paid for nothing of it, and for the rest in full", () => {
    const part = goOn(ordered(), { receipt: { promptTokens: 1 } });
    expect(network.record(part)?.locked).toBe(REST);
    network.assertInvariants();
  });

  test("may be recorded by its executor, beside its order in one batch, and once more", () => {
    const order = network.request();
    const part = partOf(network, order);
    expect(network.start([part.record])).toEqual([ERRORS.unknownInference.code]);
    expect(network.start([order.record, part.record, part.record])).toEqual([0, 0, 0]);
    expect(network.start([part.record], part.executor)).toEqual([0]);
    const later = partOf(network, order, { receipt: { deadlineHeight: network.chain.height + 4n } });
    expect(network.start([later.record])).toEqual([ERRORS.alreadyStarted.code]);
    expect(network.chain.eventsOf("inference_start")).toHaveLength(2);
  });

  test("is recorded by its executor with the start of its order, when transfer agent and first executor are gone", () => {
    const order = network.request();
    const part = partOf(network, order);
    expect([order.executor, network.transferAgent]).not.toContain(part.executor);
    expect(network.start([order.record, part.record], part.executor)).toEqual([0, 0]);
    expect(finishPart(part, { completionTokens: MAX_OUTPUT - PREFIX, finishReason: FinishReason.LENGTH })).toBe(0);
    network.block(60);
    expect(network.record(order)?.status).toBe(Status.MISSED);
    network.assertInvariants();
  });

  test("is finished, delivered, checked and paid as any inference, and so is the one before it", () => {
    const order = ordered(GENEROUS);
    const part = goOn(order);
    expect(finish(order, cancelled(5))).toBe(0);
    expect(finishPart(part, { completionTokens: MAX_OUTPUT - PREFIX, finishReason: FinishReason.LENGTH })).toBe(0);
    expect(network.send(network.batch({ deliveredInPart: [order.id] }, network.transferAgent))).toEqual([0]);
    expect(network.agree([part])).toEqual([0]);
    network.block(2);
    for (const request of [order, part]) {
      expect(network.judge(request.id, network.dutiesOf(request)[0]!)).toBe(0);
    }
    network.epochs.next();
    network.block(Number(DELIVERY_BLOCKS));
    expect([order, part].map((request) => network.record(request)?.status)).toEqual([Status.SETTLED, Status.SETTLED]);
    const amounts = network.rewards.distributed.map(({ executor, amount }) => [executor, amount]);
    expect(new Map(amounts as [string, bigint][])).toEqual(
      new Map([
        [order.executor, FIRST],
        [part.executor, READING + REST],
      ]),
    );
    expect(network.deposit()).toMatchObject({ available: DEPOSITED - FIRST - READING - REST, locked: 0n });
  });

  test("that is found false is refunded, and the one before it is not touched", () => {
    const order = ordered();
    const part = goOn(order);
    finish(order, cancelled(5));
    finishPart(part);
    network.block(2);
    network.inferences.invalidate(network.chain.ctx, part.id);
    expect([order, part].map((request) => network.record(request)?.status)).toEqual([Status.FINISHED, Status.INVALID]);
    expect(network.deposit().locked).toBe(FIRST);
    network.assertInvariants();
  });

  test("for which two answers were signed convicts its executor alone", () => {
    const part = goOn(ordered());
    expect(finishPart(part)).toBe(0);
    expect(network.deliver([deliveryOf(network, part, { promptTokens: 13, outputHash: sha256(utf8("!")) })])).toEqual([
      0,
    ]);
    expect(network.record(part)?.status).toBe(Status.INVALID);
  });

  test("of which nothing comes by its deadline is a miss of its executor", () => {
    const order = ordered();
    const part = goOn(order, { receipt: { deadlineHeight: network.chain.height + 2n } });
    network.block(3);
    expect(network.record(part)?.status).toBe(Status.MISSED);
    expect(network.rewards.calls.at(-1)).toBe(`missed ${part.executor} 3`);
    expect(network.record(order)?.status).toBe(Status.STARTED);
  });

  test("is followed by another when it breaks off, too", () => {
    const order = ordered(GENEROUS);
    const second = goOn(order);
    const third = goOn(order, { attempt: 2, prefix: [4, 5, 6, 7, 8] });
    expect(network.record(second)).toMatchObject({
      locked: READING + 2n * PRICE.output,
      continued: { by: refOf(third.id), at: 5 },
    });
    expect(network.record(order)).toMatchObject({ locked: FIRST, continued: { by: refOf(second.id) } });
    expect(finishPart(second, cancelled(9))).toBe(0);
    expect(network.record(second)?.cost).toBe(READING + 2n * PRICE.output);
    network.assertInvariants();
  });

  test("carries the tokens before it where its payload rides along, and no others", () => {
    const payload = { output: utf8("answer"), tokenIds: new Array(20).fill(1), artifact: new Uint8Array(4) };
    const part = goOn(ordered());
    expect(finishPart(part, { ...payload, prefixTokenIds: [4, 5] })).toBe(ERRORS.invalidPayload.code);
    expect(finishPart(part, payload)).toBe(ERRORS.invalidPayload.code);
    expect(finishPart(part, { ...payload, prefixTokenIds: [4, 5, 6] })).toBe(0);
    expect(finish(ordered(), { ...payload, prefixTokenIds: [4] })).toBe(ERRORS.invalidPayload.code);
  });

  test("ends at the maximum of the whole output", () => {
    const part = goOn(ordered());
    const most = MAX_OUTPUT - PREFIX;
    expect(finishPart(part, { completionTokens: most + 1 })).toBe(ERRORS.invalidFinish.code);
    expect(finishPart(part, { completionTokens: MAX_OUTPUT, finishReason: FinishReason.LENGTH })).toBe(
      ERRORS.invalidFinish.code,
    );
    expect(finishPart(part, { completionTokens: most, finishReason: FinishReason.LENGTH })).toBe(0);
  });
});

describe("the one before it", () => {
  test("is paid up to the seam, whether its finish comes before the part's start or behind it", () => {
    const [before, behind] = [ordered(), ordered()];
    expect(finish(before, cancelled(40))).toBe(0);
    for (const order of [before, behind]) goOn(order);
    // Whole, as it says; but the client had the rest from another.
    expect(finish(behind, { completionTokens: 40 })).toBe(0);
    for (const order of [before, behind]) {
      expect(network.record(order)).toMatchObject({ status: Status.FINISHED, cost: FIRST, locked: FIRST });
    }
    network.assertInvariants();
  });

  test("is paid for less than the prefix where it gave less", () => {
    const order = ordered();
    goOn(order);
    expect(finish(order, cancelled(1))).toBe(0);
    expect(network.record(order)?.cost).toBe(PROMPT + PRICE.output);
  });

  test("leaves what is held for it to the one that goes on when it is missed, and the client pays one prompt", () => {
    const order = ordered();
    const part = goOn(order);
    expect(network.record(part)?.locked).toBe(REST);
    expect(finish(order, { error: "engine stopped" })).toBe(0);
    expect(network.record(part)?.locked).toBe(READING + REST);
    expect(network.deposit().locked).toBe(READING + REST);
    expect(network.chain.eventsOf("inference_missed")).toMatchObject([{ refund: String(FIRST - READING) }]);
    expect(finishPart(part)).toBe(0);
    expect(network.record(part)?.cost).toBe(READING + 100n);
    network.assertInvariants();
  });

  test("leaves it also to one that has finished", () => {
    const order = ordered();
    const part = goOn(order);
    expect(finishPart(part)).toBe(0);
    expect(network.record(part)?.cost).toBe(100n);
    network.block(6);
    expect(network.record(order)?.status).toBe(Status.MISSED);
    expect(network.record(part)).toMatchObject({ cost: READING + 100n, locked: READING + 100n });
    network.assertInvariants();
  });

  test("may have missed, or have been found false, when the part is started", () => {
    const [missed, false_] = [ordered(), ordered()];
    finish(missed, { error: "engine stopped" });
    finish(false_, cancelled(5));
    network.inferences.invalidate(network.chain.ctx, false_.id);
    for (const order of [missed, false_]) {
      const part = goOn(order);
      expect(network.record(part)?.locked).toBe(READING + REST);
    }
    network.assertInvariants();
  });
});

describe("a part is refused", () => {
  const { invalidPrefix, notContinuable, executorNotDrawn, invalidSkips, receiptMismatch } = ERRORS;
  const cases: [string, PartOptions, { code: number }][] = [
    ["a prefix that leaves nothing", { prefix: new Array(MAX_OUTPUT).fill(1) }, invalidPrefix],
    ["no hash", { record: { prefix: { tokens: 3, hash: new Uint8Array() } } }, invalidPrefix],
    ["the executor that broke off", { attempt: 0 }, notContinuable],
    ["a place beyond the candidates", { attempt: 6 }, executorNotDrawn],
    ["a place that is not named as passed over", { record: { skips: [] } }, invalidSkips],
    ["more prompt than authorized", { receipt: { promptTokens: 64 + PREFIX + 1 } }, receiptMismatch],
    ["a deadline that is over", { receipt: { deadlineHeight: 49n } }, ERRORS.deadlineOutOfRange],
    ["a receipt for the order", { receipt: { inferenceId: new Uint8Array(32) } }, ERRORS.invalidReceiptSignature],
  ];

  test.each(cases)("%s", (_, options, { code }) => {
    const order = ordered();
    expect(codeOf(order, options)).toBe(code);
    expect(network.record(order)?.continued).toBeUndefined();
    expect(network.deposit().locked).toBe(PROMPT + BigInt(MAX_OUTPUT) * PRICE.output);
    network.assertInvariants();
  });

  test("another drawn executor than the one of its place", () => {
    const order = ordered();
    const other = partOf(network, order, { attempt: 2 }).executor;
    expect(codeOf(order, { attempt: 1, receipt: { executor: other } })).toBe(executorNotDrawn.code);
  });

  test("by somebody who has no part in it, and with a receipt that nobody signed", () => {
    let part = partOf(network, ordered());
    while (part.executor === network.transferAgent) part = partOf(network, ordered());
    const stranger = network.operators.find((o) => ![part.executor, network.transferAgent].includes(o))!;
    expect(network.start([part.record], stranger)).toEqual([ERRORS.wrongSender.code]);
    const forged = { ...part.record, receiptSignature: signDigest(sha256(utf8("x")), network.client.privateKey) };
    expect(network.start([forged])).toEqual([ERRORS.invalidReceiptSignature.code]);
  });

  test("by whoever is drawn and was not asked: the transfer agent has to have signed it, and the tokens behind which it goes on", () => {
    let order = ordered();
    while (partOf(network, order).executor === network.transferAgent) order = ordered();
    const part = partOf(network, order);
    const { signature: _, ...record } = part.record;
    const other = partOf(network, order, { prefix: [] }).record;
    for (const signature of [new Uint8Array(), order.record.signature, other.signature]) {
      expect(network.start([{ ...record, signature }], part.executor)).toEqual([ERRORS.invalidSignature.code]);
    }
    expect(network.record(order)?.continued).toBeUndefined();
    expect(network.start([part.record], part.executor)).toEqual([0]);
  });

  test("with a request of its own, and no order may name a recording mode", () => {
    const order = ordered();
    const batch = network.batch({ starts: [partOf(network, order).record] }, network.transferAgent);
    const [entry] = batch.starts as [inference.StartEntry];
    const send = (change: Partial<inference.StartEntry>) =>
      network.send({ ...batch, starts: [{ ...entry, ...change }] })[0];
    expect(send({ request: order.record.request })).toBe(ERRORS.malformedAuthorization.code);
    expect(send({ prefix: undefined })).toBe(ERRORS.malformedAuthorization.code);
    expect(send({ full: false })).toBe(ERRORS.unknownInference.code);
    expect(send({})).toBe(0);
  });

  test("behind a whole answer that is on chain", () => {
    const order = ordered();
    expect(finish(order)).toBe(0);
    expect(codeOf(order, {})).toBe(notContinuable.code);
    expect(network.record(order)?.cost).toBe(PROMPT + 100n);
  });

  test("further back than the last one, by one that has a part, and beyond four", () => {
    const order = ordered();
    goOn(order);
    expect(codeOf(order, { attempt: 2, prefix: [4, 5] })).toBe(notContinuable.code);
    expect(codeOf(order, { attempt: 1, prefix: [4, 5, 6, 7] })).toBe(notContinuable.code);
    goOn(order, { attempt: 2 });
    goOn(order, { attempt: 3, prefix: [4, 5, 6, 7] });
    expect(codeOf(order, { attempt: 4, prefix: [4, 5, 6, 7] })).toBe(notContinuable.code);
  });

  test("when the deposit does not cover it, and its order stays as it was", () => {
    const order = ordered(GENEROUS);
    const { deposits, chain, client } = network;
    const before = network.record(order);
    // The seam gives the rest of the output back: what is new is that the prompt is read again.
    const amount = network.deposit().available - READING + 1n;
    chain.deliver(deposits, "/karat.deposit.v1.MsgRequestRefund", { client: client.address, amount });
    expect(codeOf(order, {})).toBe(ERRORS.insufficientDeposit.code);
    expect(network.record(order)).toEqual(before);
    network.assertInvariants();
  });

  test("later than an executor has for its answer, and when it was forgotten it cannot come again", () => {
    network.setParams({ maxAnchorAge: 20n, retentionBlocks: 20n });
    const order = ordered();
    const part = partOf(network, order);
    expect(network.start([part.record])).toEqual([0]);
    expect(finishPart(part, { error: "engine stopped" })).toBe(0);
    network.block(20);
    expect(network.start([part.record])).toEqual([0]);
    expect(network.record(part)?.status).toBe(Status.MISSED);
    network.block(1);
    expect(network.record(part)).toBeUndefined();
    expect(network.start([part.record], part.executor)[0]).not.toBe(0);
    expect(network.rewards.calls.filter((call) => call === `missed ${part.executor} 3`)).toHaveLength(1);
  });

  test("with a busy answer of a place passed over that was given for another order", () => {
    const order = ordered();
    const { chainId } = network.chain;
    const passed = partOf(network, order, { attempt: 1 }).executor;
    const busyFor = (inferenceId: Uint8Array) => {
      const busy = encodeSigned("busy", { chainId, inferenceId, attempt: 1, executor: passed });
      return signDigest(sha256(busy), network.nodeKey(passed).privateKey);
    };
    const skips = (id: Uint8Array) => [
      { reason: "broke:died", busySignature: new Uint8Array() },
      { reason: "busy", busySignature: busyFor(id) },
    ];
    expect(codeOf(order, { attempt: 2, record: { skips: skips(sha256(order.id)) } })).toBe(invalidSkips.code);
    expect(codeOf(order, { attempt: 2, record: { skips: skips(order.id) } })).toBe(0);
  });
});

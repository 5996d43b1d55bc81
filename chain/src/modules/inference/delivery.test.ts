import { sha256, signDigest } from "@karat/common";
import { encodeSigned, inference, refOf, sign } from "@karat/proto";
import { beforeEach, describe, expect, test } from "vitest";
import { DEPOSITED, TestNetwork } from "../testing/network.ts";
import { openFinish } from "../testing/numbers.ts";
import { deliveryOf, finishOf, otherHash, type Request } from "../testing/records.ts";
import { VERIFICATION_ERRORS } from "../verification/index.ts";
import { ERRORS } from "./errors.ts";

const Status = inference.InferenceStatus;
const { FinishReason } = sign;
const NONE = new Uint8Array();

let network = new TestNetwork();
beforeEach(() => {
  network = new TestNetwork();
});

const started = (): Request => {
  const request = network.request();
  expect(network.start([request.record])).toEqual([0]);
  return request;
};
const finish = (request: Request, change: Partial<inference.FinishRecord> = {}, sender = request.executor) =>
  network.finish([finishOf(request, change)], sender)[0];
const statusOf = (request: Request) => network.record(request)?.status;

describe("a delivery", () => {
  const deliver = (request: Request, ...rest: [Parameters<typeof deliveryOf>[2]?, Parameters<typeof deliveryOf>[3]?]) =>
    network.deliver([deliveryOf(network, request, ...rest)])[0];

  test("is kept, before the finish or after it, and repeats are no second one", () => {
    const [early, late] = [started(), network.served()];
    const records = [early, late, early].map((request) => deliveryOf(network, request));
    expect(network.deliver(records)).toEqual([0, 0, 0]);
    expect(network.record(early)).toMatchObject({
      status: Status.STARTED,
      deliveryHeight: 50n,
      deliveryComplete: true,
    });
    expect(finish(early)).toBe(0);
    expect([early, late].map(statusOf)).toEqual([Status.FINISHED, Status.FINISHED]);
    expect(network.chain.eventsOf("inference_delivery")).toHaveLength(2);
    expect(deliver(early, {}, { complete: false })).toBe(ERRORS.alreadyDelivered.code);
    network.assertInvariants();
  });

  test("that agrees with the finish is a short id, whole or in part, and waits for the finish", () => {
    const request = started();
    expect(network.agree([request])).toEqual([ERRORS.notFinished.code]);
    expect(finish(request)).toBe(0);
    expect(network.agree([request, request])).toEqual([0, 0]);
    expect(network.record(request)).toMatchObject({ deliveryHeight: 50n, deliveryComplete: true });
    expect(network.inferences.isDisputed(network.record(request)!)).toBe(false);
    const part = network.batch({ deliveredInPart: [request.id] }, network.transferAgent);
    expect(network.send(part)).toEqual([ERRORS.alreadyDelivered.code]);
    const other = network.served();
    expect(network.send({ ...part, deliveredInPart: [refOf(other.id)] })).toEqual([0]);
    expect(network.record(other)?.deliveryComplete).toBe(false);
    const stranger = network.operators.find((operator) => operator !== network.transferAgent)!;
    expect(network.agree([network.served()], stranger)).toEqual([ERRORS.wrongSender.code]);
    network.assertInvariants();
  });

  test("needs no response of the executor where the client went away", () => {
    const none = { response: new Uint8Array(), responseSignature: new Uint8Array() };
    expect(deliver(network.served(), {}, { ...none, complete: false })).toBe(0);
    expect(deliver(network.served(), {}, { ...none, complete: true })).toBe(ERRORS.invalidDelivery.code);
    expect(deliver(network.served(), {}, { response: new Uint8Array() })).toBe(ERRORS.malformedResponse.code);
  });

  test.each<[string, Parameters<typeof deliveryOf>[2], Parameters<typeof deliveryOf>[3], { code: number }]>([
    ["a root beside the response", {}, { root: otherHash("x") }, ERRORS.invalidDelivery],
    ["a short root", {}, { root: Uint8Array.of(1), response: NONE, responseSignature: NONE }, ERRORS.invalidDelivery],
    ["an unknown id", {}, { inferenceId: new Uint8Array(32) }, ERRORS.unknownInference],
    ["a response to another id", { inferenceId: new Uint8Array(32) }, {}, ERRORS.malformedResponse],
    ["a response of another executor", { executor: "karat1x" }, {}, ERRORS.malformedResponse],
    ["a response with a short root", { artifactRoot: new Uint8Array(2) }, {}, ERRORS.malformedResponse],
    ["another chain's response", { chainId: "karat-other" }, {}, ERRORS.wrongDomain],
    ["a forged response", {}, { responseSignature: new Uint8Array(64) }, ERRORS.invalidResponseSignature],
  ])("of %s is refused", (_, response, change, { code }) => {
    const request = network.served();
    expect(deliver(request, response, change)).toBe(code);
    expect(network.record(request)?.deliveryHeight).toBe(0n);
    expect(statusOf(request)).toBe(Status.FINISHED);
  });

  test("by another than its transfer agent is refused, as is one after the end", () => {
    const request = started();
    const other = network.operators.find((operator) => operator !== network.transferAgent)!;
    expect(network.deliver([deliveryOf(network, request)], other)).toEqual([ERRORS.wrongSender.code]);
    network.block(6);
    expect(deliver(request)).toBe(ERRORS.illegalStep.code);
  });
});

describe("an executor that signs two outputs is convicted", () => {
  const two = { outputHash: otherHash("another answer") };

  test.each([
    [
      "finished first",
      (request: Request) => [finish(request), network.deliver([deliveryOf(network, request, two)])[0]],
    ],
    [
      "delivered first",
      (request: Request) => [network.deliver([deliveryOf(network, request, two)])[0], finish(request)],
    ],
  ])("%s", (_, act) => {
    const request = started();
    const before = network.participants.byOperator(network.chain.ctx, request.executor)!.collateral;
    expect(act(request)).toEqual([0, 0]);
    expect(statusOf(request)).toBe(Status.INVALID);
    expect(network.deposit()).toMatchObject({ available: DEPOSITED, locked: 0n });
    expect(network.chain.eventsOf("inference_invalid")).toMatchObject([{ refund: "120", executor: request.executor }]);
    expect(network.chain.eventsOf("participant_excluded")).toMatchObject([
      { participant: request.executor, epoch: "3" },
    ]);
    expect(network.rewards.calls).toContain(`exclude ${request.executor} 3`);
    expect(network.epochs.members(network.chain.ctx).length).toBe(network.operators.length);
    network.block();
    expect(network.epochs.members(network.chain.ctx).map((member) => member.operator)).not.toContain(request.executor);
    const after = network.participants.byOperator(network.chain.ctx, request.executor)!;
    expect(after.convictions).toBe(1);
    expect(after.collateral).toBeLessThan(before);
  });

  test("in a message that starts another of the same client: its deposit has both, for it is written once", () => {
    const [lied, next] = [network.served(), network.request()];
    const deliveries = [deliveryOf(network, lied, two)];
    const batch = network.batch({ starts: [next.record], deliveries }, network.transferAgent);
    expect(network.send(batch)).toEqual([0, 0]);
    expect(statusOf(lied)).toBe(Status.INVALID);
    const { locked } = network.record(next)!;
    expect(locked).toBeGreaterThan(0n);
    expect(network.deposit()).toMatchObject({ available: DEPOSITED - locked, locked });
    network.assertInvariants();
  });

  test("a finish that is paid by other counts than its statement has is a second output, too", () => {
    for (const first of ["finish", "delivery"]) {
      const request = started();
      const batch = network.batch(
        { finishes: [openFinish(network.chain.chainId, finishOf(request))] },
        request.executor,
      );
      const more = { ...batch, finishes: batch.finishes.map((entry) => ({ ...entry, completionTokens: 21 })) };
      const acts = [() => network.send(more), () => network.deliver([deliveryOf(network, request)])];
      for (const act of first === "finish" ? acts : acts.reverse()) expect(act()).toEqual([0]);
      expect(statusOf(request)).toBe(Status.INVALID);
    }
  });

  test("another artifact root for the same text is a second output, too", () => {
    const request = network.served();
    const delivery = deliveryOf(network, request, { artifactRoot: otherHash("root") });
    expect(network.deliver([delivery])).toEqual([0]);
    expect(statusOf(request)).toBe(Status.INVALID);
  });

  test("while its check is pending: the validator's verdict closes the check, and counts as its duty", () => {
    const request = network.drawn();
    const validator = network.dutiesOf(request)[0]!;
    network.deliver([deliveryOf(network, request, two)]);
    expect(network.judge(request.id, validator)).toBe(0);
    expect(network.check(request)).toMatchObject({ status: 5 });
    expect(network.rewards.calls).toContain(`duty ${validator} 3`);
    expect(network.standing(request.executor).passes).toBe(0n);
    network.assertInvariants();
  });

  test("while its check is pending: nobody misses a duty that has become moot", () => {
    const request = network.drawn();
    network.deliver([deliveryOf(network, request, two)]);
    network.block(12);
    expect(network.check(request)).toMatchObject({ status: 5, redraws: 0 });
    expect(network.chain.eventsOf("duty_missed")).toEqual([]);
  });

  test("while a committee is asked: the first answer closes the check, the others are not needed", () => {
    const request = network.drawn();
    const members = network.contested(request);
    network.deliver([deliveryOf(network, request, two)]);
    expect(network.judge(request.id, members[0]!)).toBe(0);
    expect(network.judge(request.id, members[1]!)).toBe(VERIFICATION_ERRORS.late.code);
    expect(network.dutiesOf(request)).toHaveLength(2);
    network.block(12);
    expect(network.chain.eventsOf("duty_missed")).toEqual([]);
  });

  test("nobody else can sign in its name", () => {
    const request = network.served();
    const bytes = encodeSigned("response", {
      chainId: network.chain.chainId,
      inferenceId: request.id,
      executor: request.executor,
      outputHash: two.outputHash,
      artifactRoot: finishOf(request).artifactRoot,
      promptHash: finishOf(request).promptHash,
      promptTokens: 10,
      completionTokens: 20,
      finishReason: FinishReason.STOP,
    });
    const forged = deliveryOf(network, request, two, {
      response: bytes,
      responseSignature: signDigest(sha256(bytes), network.client.privateKey),
    });
    expect(network.deliver([forged])).toEqual([ERRORS.invalidResponseSignature.code]);
    expect(statusOf(request)).toBe(Status.FINISHED);
  });
});

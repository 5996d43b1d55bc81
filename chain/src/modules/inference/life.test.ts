import { sha256, utf8 } from "@karat/common";
import { inference, refOf, sign, statementOf } from "@karat/proto";
import { beforeEach, describe, expect, test } from "vitest";
import { ChainError } from "../../app/errors.ts";
import { errorOf } from "../testing/context.ts";
import { DEPOSITED, MAX_OUTPUT, TestNetwork } from "../testing/network.ts";
import { openFinish } from "../testing/numbers.ts";
import { finishOf, type Request } from "../testing/records.ts";
import { ERRORS } from "./errors.ts";
import { EDGES, follow, type InferenceStatus, isTerminal, type Step } from "./transition.ts";

const Status = inference.InferenceStatus;
const { FinishReason } = sign;
/** 10 prompt tokens at 2 and 20 output tokens at 5. */
const COST = 120n;

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

describe("edges", () => {
  const steps: Step[] = ["finish", "deliver", "miss", "settle", "invalidate", "leaveUndecided"];
  const legal = new Map<string, InferenceStatus>([
    [`${Status.STARTED} finish`, Status.FINISHED],
    [`${Status.STARTED} deliver`, Status.STARTED],
    [`${Status.STARTED} miss`, Status.MISSED],
    [`${Status.FINISHED} deliver`, Status.FINISHED],
    [`${Status.FINISHED} settle`, Status.SETTLED],
    [`${Status.FINISHED} invalidate`, Status.INVALID],
    [`${Status.FINISHED} leaveUndecided`, Status.INCONCLUSIVE],
  ]);
  const all = (Object.keys(EDGES).map(Number) as InferenceStatus[]).flatMap((from) =>
    steps.map((step) => [from, step] as const),
  );

  test.each(all)("from %s by %s", (from, step) => {
    const to = legal.get(`${from} ${step}`);
    if (to === undefined) expect(errorOf(() => follow(from, step))).toEqual(ERRORS.illegalStep);
    else expect(follow(from, step)).toBe(to);
  });

  test("every status is in the table, and money is held in two of them only", () => {
    expect(Object.keys(EDGES).map(Number)).toEqual(Object.values(Status));
    const open = Object.values(Status).filter((status) => !isTerminal(status));
    expect(open).toEqual([Status.STARTED, Status.FINISHED]);
  });
});

describe("a finish", () => {
  test("costs what was used at the executor's offer and gives the rest back at once", () => {
    const request = started();
    expect(finish(request)).toBe(0);
    expect(network.record(request)).toMatchObject({ status: Status.FINISHED, cost: COST, locked: COST });
    expect(network.deposit()).toMatchObject({ available: DEPOSITED - COST, locked: COST });
    expect(network.chain.eventsOf("inference_finish")).toMatchObject([{ cost: "120", completion_tokens: "20" }]);
    network.assertInvariants();
  });

  test("that comes again with the same content is no second one; with another it is refused", () => {
    const request = started();
    expect(network.finish([finishOf(request), finishOf(request)], request.executor)).toEqual([0, 0]);
    expect(finish(request, { completionTokens: 21 })).toBe(ERRORS.alreadyFinished.code);
    expect(finish(request, { error: "out of memory" })).toBe(ERRORS.alreadyFinished.code);
    expect(network.deposit().locked).toBe(COST);
    expect(network.chain.eventsOf("inference_finish")).toHaveLength(1);
  });

  const payload = { output: utf8("answer"), tokenIds: new Array(20).fill(1), artifact: new Uint8Array(40) };
  const refused: [string, Partial<inference.FinishRecord>, { code: number }][] = [
    ["an unknown id", { inferenceId: new Uint8Array(32) }, ERRORS.unknownInference],
    ["an empty id", { inferenceId: new Uint8Array() }, ERRORS.unknownInference],
    ["no artifact root beside its payload", { ...payload, artifactRoot: new Uint8Array() }, ERRORS.invalidFinish],
    ["a long prompt hash beside its payload", { ...payload, promptHash: new Uint8Array(33) }, ERRORS.invalidFinish],
    ["more prompt than its receipt says", { ...payload, promptTokens: 11 }, ERRORS.invalidFinish],
    ["more output than authorized", { completionTokens: 101 }, ERRORS.invalidFinish],
    ["an unknown reason", { finishReason: 9 as never }, ERRORS.invalidFinish],
    ["length before the limit", { finishReason: FinishReason.LENGTH }, ERRORS.invalidFinish],
    ["stop without a token", { completionTokens: 0 }, ERRORS.invalidFinish],
    ["an error that is too long", { error: "x".repeat(257) }, ERRORS.invalidFinish],
    ["fewer ids than tokens", { output: utf8("answer"), tokenIds: [1] }, ERRORS.invalidPayload],
    [
      "too many bytes",
      { output: utf8("answer"), tokenIds: new Array(20).fill(1), artifact: new Uint8Array(16_384) },
      ERRORS.invalidPayload,
    ],
  ];
  test.each(refused)("with %s is refused", (_, change, { code }) => {
    const request = started();
    expect(finish(request, change)).toBe(code);
    expect(statusOf(request)).toBe(Status.STARTED);
    network.assertInvariants();
  });

  test("by another participant is refused", () => {
    const request = started();
    const other = network.operators.find((operator) => operator !== request.executor)!;
    expect(finish(request, {}, other)).toBe(ERRORS.wrongSender.code);
  });

  test("has the root of a statement, whole or in parts, and not both", () => {
    const request = started();
    const { chainId } = network.chain;
    const batch = (change: Partial<inference.FinishRecord>) =>
      network.batch({ finishes: [openFinish(chainId, finishOf(request, change))] }, request.executor);
    const [whole, root] = [batch(payload).finishes[0]!, batch({}).finishes[0]!.root];
    const send = (entry: inference.FinishEntry) => network.send({ ...batch({}), finishes: [entry] });
    expect(send({ ...whole, root })).toEqual([ERRORS.invalidFinish.code]);
    expect(send({ ...whole, opening: undefined })).toEqual([ERRORS.invalidFinish.code]);
    expect(send({ ...whole, opening: undefined, root: root.subarray(1) })).toEqual([ERRORS.invalidFinish.code]);
    expect(send(whole)).toEqual([0]);
    expect(send({ ...whole, opening: undefined, root: network.record(request)!.root })).toEqual([0]);
    expect(network.record(request)!.root).toEqual(sha256(statementOf(chainId, finishOf(request, payload))));
  });

  test("may carry its payload, and may not where the client asked for hashes only", () => {
    expect(finish(started(), payload)).toBe(0);
    const request = network.request({ authorization: { recording: sign.RecordingMode.COMMIT } });
    network.start([request.record]);
    expect(finish(request, payload)).toBe(ERRORS.invalidPayload.code);
    expect(finish(request)).toBe(0);
  });

  test("may end at exactly the limit, or where the client went away", () => {
    expect(finish(started(), { finishReason: FinishReason.LENGTH, completionTokens: MAX_OUTPUT })).toBe(0);
    expect(finish(started(), { finishReason: FinishReason.CANCELLED, completionTokens: 0 })).toBe(0);
  });

  test("that is an error is a miss without the wait", () => {
    const request = started();
    expect(finish(request, { error: "out of memory" })).toBe(0);
    expect(finish(request, { error: "out of memory" })).toBe(0);
    expect(statusOf(request)).toBe(Status.MISSED);
    expect(network.deposit()).toMatchObject({ available: DEPOSITED, locked: 0n });
    expect(network.chain.eventsOf("inference_missed")).toMatchObject([{ reason: "error", refund: "520" }]);
    expect(network.rewards.calls).toEqual([`assigned ${request.executor} 3`, `missed ${request.executor} 3`]);
    network.assertInvariants();
  });
});

describe("a deadline", () => {
  test("that passes is a miss: the client is refunded, a later finish pays nothing", () => {
    const request = started();
    network.block(5);
    expect(statusOf(request)).toBe(Status.STARTED);
    network.block();
    expect(statusOf(request)).toBe(Status.MISSED);
    expect(network.deposit()).toMatchObject({ available: DEPOSITED, locked: 0n });
    expect(network.chain.eventsOf("inference_missed")).toMatchObject([
      { reason: "deadline", executor: request.executor },
    ]);
    expect(finish(request)).toBe(ERRORS.illegalStep.code);
  });

  test("counts to its last block", () => {
    const request = started();
    network.block(5);
    expect(finish(request)).toBe(0);
  });

  test("holds also where the end of the block has not come to it yet", () => {
    const request = started();
    network.chain.height += 6n;
    expect(finish(request)).toBe(ERRORS.deadlinePassed.code);
  });
});

describe("queries", () => {
  test("tell where many inferences stand, and pass over those that the chain does not know", () => {
    const [open, over] = [started(), started()];
    finish(over);
    const progress = network.query(
      network.inferences,
      "/karat.inference.v1.Query/Progress",
      inference.QueryProgressRequest.encode({ refs: [over.id, new Uint8Array(32), open.id].map(refOf) }).finish(),
      inference.QueryProgressResponse.decode,
    ).progress;
    expect(progress).toMatchObject([
      { ref: refOf(over.id), status: Status.FINISHED, root: network.record(over)!.root, completionTokens: 20 },
      { ref: refOf(open.id), status: Status.STARTED, root: new Uint8Array(), delivered: false },
    ]);
  });

  const { QueryInferenceRequest, QueryInferenceResponse, QueryInferencesRequest, QueryInferencesResponse } = inference;
  const one = (id: Uint8Array) =>
    network.query(
      network.inferences,
      "/karat.inference.v1.Query/Inference",
      QueryInferenceRequest.encode({ id }).finish(),
      QueryInferenceResponse.decode,
    ).inference;
  const many = (change: Partial<inference.QueryInferencesRequest>) =>
    network.query(
      network.inferences,
      "/karat.inference.v1.Query/Inferences",
      QueryInferencesRequest.encode(QueryInferencesRequest.fromPartial(change)).finish(),
      QueryInferencesResponse.decode,
    ).inferences;

  test("answer with records, page by page and by executor and client", () => {
    const requests = Array.from({ length: 7 }, () => started());
    expect(one(requests[0]!.id)).toEqual(network.record(requests[0]!));
    expect(errorOf(() => one(new Uint8Array(32)))?.code).toBe(38);
    const pages = [many({ limit: 4 })];
    pages.push(many({ limit: 4, after: pages[0]![3]!.id }));
    expect(pages.map((page) => page.length)).toEqual([4, 3]);
    const { executor } = requests[0]!;
    const theirs = requests.filter((request) => request.executor === executor).length;
    expect(many({ executor })).toHaveLength(theirs);
    expect(many({ client: network.client.address })).toHaveLength(7);
    expect(many({ client: network.transferAgent })).toHaveLength(0);
    expect(() => many({ executor: "x" })).toThrow(ChainError);
  });
});

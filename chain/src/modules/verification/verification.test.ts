import { sha256 } from "@karat/common";
import { inference, verification } from "@karat/proto";
import { beforeEach, describe, expect, test } from "vitest";
import { DELIVERY_BLOCKS } from "../inference/index.ts";
import { errorOf } from "../testing/context.ts";
import { keyNamed } from "../testing/identities.ts";
import { TestNetwork } from "../testing/network.ts";
import { deliveryOf, otherHash, type Request } from "../testing/records.ts";
import { ERRORS } from "./errors.ts";
import { type CheckStatus, EDGES, follow, isOpen, type Step } from "./transition.ts";

const { CheckStatus: Status, Verdict } = verification;
const InferenceStatus = inference.InferenceStatus;

let network = new TestNetwork();
beforeEach(() => {
  network = new TestNetwork();
});

const statusOf = (request: Request) => network.check(request)?.status;
const first = (request: Request): string => network.dutiesOf(request)[0]!;
const othersThan = (...operators: string[]) => network.operators.filter((operator) => !operators.includes(operator));

describe("edges", () => {
  const legal = new Map<string, CheckStatus>([
    [`${Status.UNSPECIFIED} passOver`, Status.UNCHECKED],
    [`${Status.UNSPECIFIED} assign`, Status.PENDING],
    [`${Status.PENDING} redraw`, Status.PENDING],
    [`${Status.PENDING} giveUp`, Status.ABSTAINED],
    [`${Status.PENDING} accept`, Status.VALID],
    [`${Status.PENDING} abstain`, Status.ABSTAINED],
    [`${Status.PENDING} object`, Status.COMMITTEE],
    [`${Status.PENDING} close`, Status.INVALID],
    [`${Status.PENDING} hear`, Status.ANSWERED],
    [`${Status.ANSWERED} accept`, Status.VALID],
    [`${Status.ANSWERED} abstain`, Status.ABSTAINED],
    [`${Status.ANSWERED} lookAgain`, Status.COMMITTEE],
    [`${Status.ANSWERED} close`, Status.INVALID],
    [`${Status.COMMITTEE} convene`, Status.COMMITTEE],
    [`${Status.COMMITTEE} uphold`, Status.INVALID],
    [`${Status.COMMITTEE} overrule`, Status.VALID],
    [`${Status.COMMITTEE} leaveUndecided`, Status.INCONCLUSIVE],
    [`${Status.COMMITTEE} accept`, Status.VALID],
    [`${Status.COMMITTEE} abstain`, Status.ABSTAINED],
    [`${Status.COMMITTEE} close`, Status.INVALID],
  ]);
  const steps = [...new Set([...legal.keys()].map((edge) => edge.split(" ")[1]))] as Step[];
  const all = (Object.keys(EDGES).map(Number) as CheckStatus[]).flatMap((from) =>
    steps.map((step) => [from, step] as const),
  );

  test.each(all)("from %s by %s", (from, step) => {
    const to = legal.get(`${from} ${step}`);
    if (to === undefined) expect(errorOf(() => follow(from, step))).toEqual(ERRORS.illegalStep);
    else expect(follow(from, step)).toBe(to);
  });

  test("no single validator's verdict leads to INVALID", () => {
    for (const status of [Status.PENDING, Status.ANSWERED]) {
      const toInvalid = Object.entries(EDGES[status]).filter(([, to]) => to === Status.INVALID);
      expect(toInvalid).toEqual([["close", Status.INVALID]]);
    }
    const open = [Status.UNSPECIFIED, Status.PENDING, Status.COMMITTEE, Status.ANSWERED];
    expect(Object.values(Status).filter(isOpen)).toEqual(open);
  });
});

describe("the draw", () => {
  test("comes a block after the finish and names neither executor nor transfer agent", () => {
    for (let i = 0; i < 12; i++) {
      const request = network.served();
      expect(network.check(request)).toBeUndefined();
      network.block();
      expect(network.check(request)).toBeUndefined();
      network.block();
      expect(statusOf(request)).toBe(Status.PENDING);
      expect(othersThan(request.executor, network.transferAgent)).toContain(first(request));
      expect(network.chain.eventsOf("duty_assigned").at(-1)).toMatchObject({
        validator: first(request),
        committee: "false",
        deadline: String(network.chain.height - 1n + 16n),
      });
    }
  });

  test("checks all of a newcomer, and where nobody is left to check, passes over and pays", () => {
    const small = new TestNetwork(["ann", "bob"]);
    const request = small.drawn({ executor: small.operators[1]! });
    expect(small.check(request)).toBeUndefined();
    small.epochs.next();
    small.block(Number(DELIVERY_BLOCKS));
    expect(small.record(request)?.status).toBe(InferenceStatus.SETTLED);
    expect(small.standing(request.executor).passes).toBe(0n);
  });

  test("checks less of an executor that has earned it", () => {
    const executor = network.operators[1]!;
    network.setParams({ reputationHalfTokens: 1n, reputationGrowthCapMicros: 1_000_000, gainPerInference: 1n });
    const earned = network.drawn({ executor });
    expect(network.judge(earned.id, first(earned))).toBe(0);
    const requests = Array.from({ length: 60 }, () => network.served({ executor }));
    network.block(2);
    const checked = requests.filter((request) => network.check(request) !== undefined);
    expect(checked.length).toBeLessThan(30);
    const unchecked = requests.find((request) => network.check(request) === undefined)!;
    expect(queryCheck(unchecked.id)).toMatchObject({ status: Status.UNCHECKED, executor });
    network.assertInvariants();
  });

  test("checks for certain what transfer agent and executor disagree about", () => {
    const executor = network.operators[1]!;
    network.setParams({ reputationHalfTokens: 1n, reputationGrowthCapMicros: 1_000_000, gainPerInference: 1n });
    const earned = network.drawn({ executor });
    network.judge(earned.id, first(earned));
    const none = { response: new Uint8Array(), responseSignature: new Uint8Array() };
    const requests = Array.from({ length: 20 }, () => network.served({ executor }));
    for (const request of requests) {
      network.deliver([deliveryOf(network, request, {}, { ...none, root: otherHash("altered") })]);
    }
    network.block(2);
    expect(requests.map((request) => network.check(request)?.rateMicros)).toEqual(requests.map(() => 1_000_000));
  });
});

describe("a verdict", () => {
  test("valid ends it: a pass, clean tokens, and the money to be paid", () => {
    const request = network.drawn();
    const validator = first(request);
    expect(network.judge(request.id, validator)).toBe(0);
    expect(network.check(request)).toMatchObject({ status: Status.VALID, decidedHeight: network.chain.height });
    expect(network.standing(request.executor)).toMatchObject({ passes: 1n, fails: 0n });
    expect(network.standing(validator)).toMatchObject({ dutiesAssigned: 1n, dutiesMissed: 0n });
    expect(network.rewards.calls).toContain(`duty ${validator} 3`);
    expect(network.chain.eventsOf("check_decided")).toMatchObject([{ status: "valid" }]);
    expect(network.judge(request.id, validator)).toBe(0);
    expect(network.judge(request.id, validator, Verdict.INVALID)).toBe(ERRORS.alreadyAnswered.code);
    expect(network.standing(request.executor).passes).toBe(1n);
  });

  test("abstain pays the executor and never counts as a pass", () => {
    const request = network.drawn();
    expect(network.judge(request.id, first(request), Verdict.ABSTAIN)).toBe(0);
    expect(statusOf(request)).toBe(Status.ABSTAINED);
    expect(network.standing(request.executor)).toMatchObject({ passes: 0n, fails: 0n, abstentions: 1n });
    expect(reputationOf(request.executor)).toMatchObject({ cleanTokens: 0n, valueMicros: 0 });
    network.epochs.next();
    network.block(Number(DELIVERY_BLOCKS));
    expect(network.record(request)?.status).toBe(InferenceStatus.SETTLED);
  });

  test.each<[string, Partial<verification.VerdictRecord>]>([
    ["no verdict", { verdict: Verdict.UNSPECIFIED }],
    ["an unknown verdict", { verdict: 9 as never }],
    ["a bucket beyond ten", { pBucket: 11 }],
    ["no evidence", { evidenceHash: new Uint8Array() }],
  ])("with %s is refused", (_, change) => {
    const request = network.drawn();
    expect(network.judge(request.id, first(request), Verdict.VALID, change)).toBe(ERRORS.invalidVerdict.code);
    expect(statusOf(request)).toBe(Status.PENDING);
  });

  test("by a validator that was not drawn is refused", () => {
    const request = network.drawn();
    for (const other of othersThan(first(request))) {
      expect(network.judge(request.id, other, Verdict.INVALID)).toBe(ERRORS.notDrawn.code);
    }
    expect(statusOf(request)).toBe(Status.PENDING);
  });

  test("on what is not checked, in a batch of the wrong size, by no validator is refused", () => {
    const request = network.served();
    expect(network.judge(request.id, network.operators[2]!)).toBe(ERRORS.unknownCheck.code);
    expect(network.judge(new Uint8Array(), network.operators[2]!)).toBe(ERRORS.unknownCheck.code);
    const url = "/karat.verification.v1.MsgSubmitVerdicts";
    const send = (message: object) => network.chain.refusal(network.verification, url, message);
    const sender = network.validatorKey(network.operators[2]!).address;
    expect(send({ sender, verdicts: [] })).toEqual(ERRORS.batchSize);
    const verdict = verification.VerdictRecord.fromPartial({ inferenceId: request.id });
    expect(send({ sender: keyNamed("nobody").address, verdicts: [verdict] })).toEqual(ERRORS.unknownSender);
  });

  test("that is refused leaves its neighbours alone", () => {
    const requests = Array.from({ length: 8 }, () => network.served());
    network.block(2);
    const validator = first(requests[0]!);
    const record = ({ id }: Request): verification.VerdictRecord =>
      verification.VerdictRecord.fromPartial({ inferenceId: id, verdict: Verdict.ABSTAIN, evidenceHash: sha256(id) });
    const { results } = network.chain.deliver(network.verification, "/karat.verification.v1.MsgSubmitVerdicts", {
      sender: network.validatorKey(validator).address,
      verdicts: requests.map(record),
    }) as verification.MsgSubmitVerdictsResponse;
    const theirs = requests.map((request) => network.check(request)!.duties[0]!.validator === validator);
    expect(results.map(({ code }) => code)).toEqual(theirs.map((own) => (own ? 0 : ERRORS.notDrawn.code)));
    expect(theirs).toContain(false);
  });
});

describe("a missed duty", () => {
  test("is counted and redrawn: another is asked, the first one's verdict comes too late", () => {
    const request = network.drawn();
    const missed = first(request);
    network.block(9);
    expect(first(request)).toBe(missed);
    network.block();
    const next = first(request);
    expect(next).not.toBe(missed);
    expect(othersThan(request.executor, network.transferAgent)).toContain(next);
    expect(network.check(request)).toMatchObject({ status: Status.PENDING, redraws: 1 });
    expect(network.standing(missed)).toMatchObject({ dutiesAssigned: 1n, dutiesMissed: 1n });
    expect(network.rewards.calls).toContain(`dutyMissed ${missed} 3`);
    expect(network.judge(request.id, missed)).toBe(ERRORS.late.code);
    expect(network.judge(request.id, next)).toBe(0);
    expect(statusOf(request)).toBe(Status.VALID);
  });

  test("after three redraws the check is given up, which is no pass", () => {
    network = new TestNetwork(["ann", "bob", "cid", "dan", "eve", "fay", "gus", "hal"]);
    const request = network.drawn();
    network.block(10 * 4);
    const check = network.check(request)!;
    expect(check).toMatchObject({ status: Status.ABSTAINED, redraws: 3 });
    const asked = check.duties.map(({ validator }) => validator);
    expect(new Set(asked).size).toBe(4);
    expect(network.standing(request.executor)).toMatchObject({ passes: 0n, abstentions: 1n });
  });

  test("is late also where the end of the block has not come to it yet", () => {
    const request = network.drawn();
    const validator = first(request);
    network.commit(request.id, validator);
    network.chain.height += 16n;
    expect(network.reveal(request.id, validator)).toBe(ERRORS.late.code);
  });

  test("does not go to whoever was excluded meanwhile", () => {
    const request = network.drawn();
    const order = othersThan(request.executor, network.transferAgent, first(request));
    for (const operator of order.slice(1)) network.epochs.exclude(network.chain.ctx, operator);
    network.block(10);
    expect(network.dutiesOf(request)).toEqual([order[0]]);
    network.block(10);
    expect(network.check(request)).toMatchObject({ status: Status.ABSTAINED, redraws: 1 });
  });
});

describe("queries", () => {
  test("list the open duties of a validator", () => {
    const requests = Array.from({ length: 8 }, () => network.served());
    network.block(2);
    const validator = first(requests[0]!);
    const duties = pending(validator);
    expect(duties.length).toBe(requests.filter((request) => first(request) === validator).length);
    expect(duties[0]).toMatchObject({ validator, verdict: Verdict.UNSPECIFIED, committee: false });
    for (const { inferenceId } of duties) network.judge(inferenceId, validator);
    expect(pending(validator)).toEqual([]);
    expect(pending(validator, 1)).toEqual([]);
  });

  test("know no check of what was not drawn yet", () => {
    const request = network.served();
    expect(errorOf(() => queryCheck(request.id))?.code).toBe(38);
    network.block(2);
    expect(queryCheck(request.id)).toEqual(network.check(request));
    expect(errorOf(() => queryCheck(new Uint8Array(3)))?.code).toBe(38);
  });
});

function queryCheck(inferenceId: Uint8Array): verification.Check | undefined {
  return network.query(
    network.verification,
    "/karat.verification.v1.Query/Check",
    verification.QueryCheckRequest.encode({ inferenceId }).finish(),
    verification.QueryCheckResponse.decode,
  ).check;
}

function pending(validator: string, limit = 0): verification.Duty[] {
  return network.query(
    network.verification,
    "/karat.verification.v1.Query/PendingDuties",
    verification.QueryPendingDutiesRequest.encode({ validator, limit }).finish(),
    verification.QueryPendingDutiesResponse.decode,
  ).duties;
}

function reputationOf(participant: string) {
  return network.reputationOf(participant).reputation!;
}

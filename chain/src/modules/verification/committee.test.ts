import { inference, verification } from "@karat/proto";
import { beforeEach, describe, expect, test } from "vitest";
import { DEPOSITED, TestNetwork } from "../testing/network.ts";
import type { Request } from "../testing/records.ts";
import { ERRORS } from "./errors.ts";
import { tally } from "./transition.ts";

const { CheckStatus: Status, Verdict } = verification;
const InferenceStatus = inference.InferenceStatus;
const COST = 120n;

let network = new TestNetwork();
beforeEach(() => {
  network = new TestNetwork();
});

const statusOf = (request: Request) => network.check(request)?.status;
const first = (request: Request): string => network.dutiesOf(request)[0]!;
const othersThan = (...operators: string[]) => network.operators.filter((operator) => !operators.includes(operator));

describe("an objection", () => {
  test("is decided by a committee, drawn with the next block's beacon among those without a part", () => {
    const request = network.drawn();
    const objector = first(request);
    expect(network.judge(request.id, objector, Verdict.INVALID)).toBe(0);
    expect(statusOf(request)).toBe(Status.COMMITTEE);
    network.block();
    expect(network.dutiesOf(request)).toEqual([]);
    network.block();
    const members = network.dutiesOf(request);
    expect(members).toHaveLength(3);
    const free = othersThan(request.executor, network.transferAgent, objector);
    expect(members.every((member) => free.includes(member))).toBe(true);
    expect(network.chain.eventsOf("duty_assigned").filter(({ committee }) => committee === "true")).toHaveLength(3);
    expect(network.record(request)?.status).toBe(InferenceStatus.FINISHED);
  });

  test("that a majority of two thirds confirms: refund, fine, a failure", () => {
    const request = network.drawn();
    const collateral = () => network.participants.byOperator(network.chain.ctx, request.executor)!.collateral;
    const before = collateral();
    const members = network.contested(request);
    network.judge(request.id, members[0]!, Verdict.INVALID);
    network.judge(request.id, members[1]!, Verdict.UNAVAILABLE);
    expect(statusOf(request)).toBe(Status.COMMITTEE);
    network.judge(request.id, members[2]!, Verdict.VALID);
    expect(statusOf(request)).toBe(Status.INVALID);
    expect(network.record(request)).toMatchObject({ status: InferenceStatus.INVALID, locked: 0n });
    expect(network.deposit()).toMatchObject({ available: DEPOSITED, locked: 0n });
    expect(network.chain.eventsOf("inference_invalid")).toMatchObject([{ refund: String(COST) }]);
    expect(before - collateral()).toBe(network.params.get(network.chain.ctx).failureFine);
    expect(network.standing(request.executor)).toMatchObject({ fails: 1n, passes: 0n });
    expect(network.standing(request.executor).accusers).toHaveLength(3);
    network.epochs.next();
    network.block();
    expect(network.rewards.distributed).toEqual([]);
  });

  test("that the committee does not share: valid, and it counts against the objector", () => {
    const request = network.drawn();
    const objector = first(request);
    for (const member of network.contested(request)) network.judge(request.id, member, Verdict.VALID);
    expect(statusOf(request)).toBe(Status.VALID);
    expect(network.standing(objector).overruled).toBe(1n);
    expect(network.standing(request.executor)).toMatchObject({ passes: 1n, fails: 0n });
  });

  test("that half of the answers share is not confirmed", () => {
    const request = network.drawn();
    const members = network.contested(request);
    const verdicts = [Verdict.INVALID, Verdict.VALID, Verdict.VALID];
    for (const [i, member] of members.entries()) network.judge(request.id, member, verdicts[i]);
    expect(statusOf(request)).toBe(Status.VALID);
  });

  test("with too few answers is inconclusive: refund, nobody penalised, the silent have missed", () => {
    const request = network.drawn();
    const members = network.contested(request);
    network.block(10);
    expect(statusOf(request)).toBe(Status.INCONCLUSIVE);
    expect(network.record(request)?.status).toBe(InferenceStatus.INCONCLUSIVE);
    expect(network.deposit()).toMatchObject({ available: DEPOSITED, locked: 0n });
    expect(network.standing(request.executor)).toMatchObject({ passes: 0n, fails: 0n });
    expect(members.map((member) => network.standing(member).dutiesMissed)).toEqual([1n, 1n, 1n]);
    expect(network.chain.eventsOf("inference_inconclusive")).toHaveLength(1);
    expect(network.judge(request.id, members[0]!)).toBe(ERRORS.late.code);
  });

  test("abstentions are no answers", () => {
    const request = network.drawn();
    for (const member of network.contested(request)) network.judge(request.id, member, Verdict.ABSTAIN);
    expect(statusOf(request)).toBe(Status.INCONCLUSIVE);
  });

  test("answers that are in at the deadline decide", () => {
    const request = network.drawn();
    const members = network.contested(request);
    network.judge(request.id, members[0]!, Verdict.INVALID);
    network.block(10);
    expect(statusOf(request)).toBe(Status.INVALID);
    expect(network.standing(members[1]!).dutiesMissed).toBe(1n);
  });

  test("without anybody to confirm it is inconclusive", () => {
    const small = new TestNetwork(["ann", "bob", "cid"]);
    const request = small.drawn({ executor: small.operators[1]! });
    expect(small.dutiesOf(request)).toEqual([small.operators[2]!]);
    small.contested(request);
    expect(small.check(request)?.status).toBe(Status.INCONCLUSIVE);
    expect(small.standing(request.executor).fails).toBe(0n);
  });

  test("whoever missed the first duty may sit in the committee", () => {
    const small = new TestNetwork(["ann", "bob", "cid", "dan"]);
    const request = small.drawn({ executor: small.operators[1]! });
    const missed = small.dutiesOf(request)[0]!;
    small.block(10);
    expect(small.contested(request, Verdict.UNAVAILABLE)).toEqual([missed]);
    expect(small.judge(request.id, missed, Verdict.UNAVAILABLE)).toBe(0);
    expect(small.check(request)?.status).toBe(Status.INVALID);
  });
});

describe("tally", () => {
  const { INVALID, VALID, ABSTAIN, UNAVAILABLE, UNSPECIFIED } = Verdict;
  test.each<[verification.Verdict[], number, ReturnType<typeof tally>]>([
    [[INVALID], 2, "leaveUndecided"],
    [[INVALID], 1, "uphold"],
    [[INVALID, INVALID], 2, "uphold"],
    [[INVALID, VALID], 2, "overrule"],
    [[INVALID, UNAVAILABLE, VALID], 3, "uphold"],
    [[INVALID, INVALID, VALID, VALID], 3, "overrule"],
    [[INVALID, INVALID, INVALID, VALID, VALID], 3, "overrule"],
    [[INVALID, INVALID, INVALID, INVALID, VALID, VALID], 3, "uphold"],
    [[INVALID, ABSTAIN, ABSTAIN, UNSPECIFIED], 2, "leaveUndecided"],
  ])("%j with a quorum of %i: %s", (verdicts, quorum, decision) => {
    const duties = verdicts.map((verdict) => verification.Duty.fromPartial({ verdict }));
    expect(tally(verification.Check.fromPartial({ duties }), quorum)).toBe(decision);
  });
});

import { inference, verification } from "@karat/proto";
import { beforeEach, describe, expect, test } from "vitest";
import { memoryBank } from "../testing/bank.ts";
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
    network.block(16);
    expect(statusOf(request)).toBe(Status.INVALID);
    // Those who had committed and did not open it: counted besides.
    expect(network.standing(members[1]!).unrevealed).toBe(1n);
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

describe("an accusation", () => {
  const collateralOf = (operator: string) => {
    const { collateral, bonded } = network.participants.byOperator(network.chain.ctx, operator)!;
    return { collateral, bonded };
  };
  const { accusationBond: BOND, failureFine: FINE, accuserShareBps } = network.params.get(network.chain.ctx);

  test("locks a bond, which comes back with a share of the fine when it is upheld", () => {
    const request = network.drawn();
    const accuser = first(request);
    const before = collateralOf(accuser);
    const balance = () => memoryBank.balance(network.chain.ctx, accuser);
    const had = balance();
    const members = network.contested(request);
    expect(collateralOf(accuser)).toEqual({ ...before, bonded: BOND });
    for (const member of members) network.judge(request.id, member, Verdict.INVALID);
    expect(statusOf(request)).toBe(Status.INVALID);
    expect(collateralOf(accuser)).toEqual(before);
    expect(balance() - had).toBe((FINE * BigInt(accuserShareBps)) / 10_000n);
  });

  test("costs its bond when it is overruled", () => {
    const request = network.drawn();
    const accuser = first(request);
    const before = collateralOf(accuser);
    for (const member of network.contested(request)) network.judge(request.id, member, Verdict.VALID);
    expect(collateralOf(accuser)).toEqual({ collateral: before.collateral - BOND, bonded: 0n });
  });

  test("gets its bond back where no committee comes together", () => {
    const request = network.drawn();
    const accuser = first(request);
    const before = collateralOf(accuser);
    network.contested(request);
    network.block(16);
    expect(statusOf(request)).toBe(Status.INCONCLUSIVE);
    expect(collateralOf(accuser)).toEqual(before);
  });

  test("that the free collateral does not cover is refused", () => {
    const request = network.drawn();
    const accuser = first(request);
    const { collateral } = collateralOf(accuser);
    expect(network.participants.lockBond(network.chain.ctx, accuser, collateral - BOND + 1n)).toBe(true);
    expect(network.judge(request.id, accuser, Verdict.INVALID)).toBe(ERRORS.bondNotCovered.code);
    network.participants.releaseBond(network.chain.ctx, accuser, collateral - BOND + 1n);
    expect(network.judge(request.id, accuser, Verdict.INVALID)).toBe(0);
  });

  test("and a verdict that stands against a committee count as error: too many cost the duty rewards and all trust", () => {
    const liar = network.operators[2]!;
    const forfeited = () => network.rewards.calls.includes(`forfeitDuties ${liar} 3`);
    for (let i = 0; i < 200 && !forfeited(); i++) {
      const request = network.drawn({ executor: network.operators[1]! });
      const [validator] = network.dutiesOf(request);
      if (validator === undefined) continue; // trusted by now, and passed over
      network.judge(request.id, validator, validator === liar ? Verdict.INVALID : Verdict.VALID);
      network.block(2);
      for (const member of network.dutiesOf(request)) network.judge(request.id, member, Verdict.VALID);
    }
    expect(forfeited()).toBe(true);
    expect(network.standing(liar).overruled).toBeLessThanOrEqual(5n);
    expect(network.chain.eventsOf("validator_unreliable")).toMatchObject([{ participant: liar }]);
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

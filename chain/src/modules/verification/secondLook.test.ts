/** Second looks: what one validator has checked alone is looked at by a committee, and whoever computed nothing is found. */
import { inference, sign, verification } from "@karat/proto";
import { checkCommitment } from "@karat/rules";
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { DEFAULT_PARAMS, LOCALNET_PARAMS } from "../params/index.ts";
import { memoryBank } from "../testing/bank.ts";
import { DEPOSITED, TestNetwork } from "../testing/network.ts";
import type { Request } from "../testing/records.ts";
import { valuesOf, windowOf } from "../testing/values.ts";
import { ERRORS } from "./errors.ts";
import { findingsOf } from "./windows.ts";

const { CheckStatus: Status, Verdict } = verification;
const ALWAYS = { secondLookMicros: 1_000_000 };
const TOKENS = 90;

let network = new TestNetwork();
beforeEach(() => {
  network = new TestNetwork(undefined, ALWAYS);
});

const statusOf = (request: Request) => network.check(request)?.status;
const first = (request: Request): string => network.dutiesOf(request)[0]!;
const fine = () => network.params.get(network.chain.ctx).failureFine;
const collateralOf = (operator: string) => network.participants.byOperator(network.chain.ctx, operator)!.collateral;
const windowsOwed = (operator: string): number =>
  network.chain.eventsOf("window_wanted").filter(({ validator }) => validator === operator).length;

/** Checked by its first validator, and convened for a second look. */
function lookedAt(
  verdict: verification.Verdict = Verdict.VALID,
  invents = false,
): { request: Request; validator: string; members: string[] } {
  const request = network.drawn({}, { completionTokens: TOKENS });
  const validator = first(request);
  if (invents) network.inventors.add(validator);
  expect(network.judge(request.id, validator, verdict)).toBe(0);
  expect(statusOf(request)).toBe(Status.ANSWERED);
  network.block(2);
  const members = network.dutiesOf(request);
  expect(statusOf(request)).toBe(Status.COMMITTEE);
  for (const member of members) expect(network.commit(request.id, member)).toBe(0);
  network.block();
  return { request, validator, members };
}

describe("a verdict without objection", () => {
  test("waits for the beacon of the next block, and ends the check where that draws no second look", () => {
    network.setParams({ secondLookMicros: 1 });
    const request = network.drawn();
    network.judge(request.id, first(request));
    expect(statusOf(request)).toBe(Status.ANSWERED);
    network.block(2);
    expect(statusOf(request)).toBe(Status.VALID);
    expect(network.standing(request.executor).passes).toBe(1n);
  });

  test("is looked at again by others than those with a part", () => {
    const { request, validator, members } = lookedAt();
    expect(members).toHaveLength(3);
    for (const part of [request.executor, network.transferAgent, validator]) expect(members).not.toContain(part);
  });

  test("about nothing is not looked at again", () => {
    const request = network.drawn({}, { completionTokens: 0, finishReason: sign.FinishReason.CANCELLED });
    network.reveal(request.id, first(request), Verdict.ABSTAIN);
    network.block(2);
    expect(statusOf(request)).toBe(Status.ABSTAINED);
  });
});

describe("a second look", () => {
  test("that finds the same ends the check as the first validator said, and costs nobody anything", () => {
    const { request, validator, members } = lookedAt();
    const before = network.operators.map(collateralOf);
    expect(windowsOwed(validator)).toBe(1);
    for (const member of members) expect(network.reveal(request.id, member)).toBe(0);
    expect(statusOf(request)).toBe(Status.COMMITTEE);
    expect(network.reveal(request.id, validator)).toBe(0);
    expect(statusOf(request)).toBe(Status.VALID);
    expect(network.operators.map(collateralOf)).toEqual(before);
    for (const each of [validator, ...members]) expect(network.standing(each)).toMatchObject({ looks: 1n, apart: 0n });
    expect(network.standing(request.executor)).toMatchObject({ passes: 1n });
  });

  test("finds a validator that commits to values of its own invention, whatever its verdict", () => {
    for (const verdict of [Verdict.VALID, Verdict.ABSTAIN]) {
      network = new TestNetwork(undefined, ALWAYS);
      const { request, validator, members } = lookedAt(verdict, true);
      const before = collateralOf(validator);
      expect(network.reveal(request.id, validator, verdict)).toBe(0);
      for (const member of members) network.judge(request.id, member);
      expect(statusOf(request)).toBe(Status.VALID);
      expect(before - collateralOf(validator)).toBe(fine());
      expect(network.standing(validator)).toMatchObject({ looks: 1n, apart: 1n });
      expect(network.chain.eventsOf("values_rejected")).toMatchObject([{ validator, reason: "apart" }]);
      expect(network.standing(request.executor)).toMatchObject({ passes: 1n, fails: 0n });
    }
  });

  test("finds a member of its committee that computes nothing", () => {
    const request = network.drawn({}, { completionTokens: TOKENS });
    const validator = first(request);
    network.judge(request.id, validator);
    network.block(2);
    const members = network.dutiesOf(request);
    network.inventors.add(members[1]!);
    for (const member of members) network.commit(request.id, member);
    network.block();
    for (const each of [...members, validator]) expect(network.reveal(request.id, each)).toBe(0);
    expect(network.chain.eventsOf("values_rejected")).toMatchObject([{ validator: members[1], reason: "apart" }]);
    expect(network.standing(validator)).toMatchObject({ looks: 1n, apart: 0n });
  });

  test("costs the same who does not open its window", () => {
    const { request, validator, members } = lookedAt();
    network.withholders.add(validator);
    const before = collateralOf(validator);
    for (const member of members) network.judge(request.id, member);
    network.block(Number(LOCALNET_PARAMS.dutyDeadline));
    expect(statusOf(request)).toBe(Status.VALID);
    expect(before - collateralOf(validator)).toBe(fine());
    expect(network.chain.eventsOf("values_rejected")).toMatchObject([{ validator, reason: "withheld" }]);
    expect(network.reveal(request.id, validator)).toBe(0); // already recorded
  });

  test("counts an abstention without values as error where two thirds could tell", () => {
    const request = network.drawn({}, { completionTokens: TOKENS });
    const validator = first(request);
    expect(network.reveal(request.id, validator, Verdict.ABSTAIN)).toBe(0);
    network.block(2);
    expect(windowsOwed(validator)).toBe(0);
    const members = network.dutiesOf(request);
    for (const member of members) network.commit(request.id, member);
    network.block();
    const before = collateralOf(validator);
    for (const member of members) network.judge(request.id, member);
    expect(statusOf(request)).toBe(Status.VALID);
    expect(network.standing(validator).overruled).toBe(1n);
    expect(collateralOf(validator)).toBe(before);
  });

  test("convicts an executor whose first validator waved its answer through: refund, fine, and an error of that validator", () => {
    const { request, validator, members } = lookedAt();
    for (const member of members) network.judge(request.id, member, Verdict.INVALID);
    network.reveal(request.id, validator);
    expect(statusOf(request)).toBe(Status.INVALID);
    expect(network.deposit()).toMatchObject({ available: DEPOSITED, locked: 0n });
    expect(network.standing(request.executor).fails).toBe(1n);
    expect(network.standing(validator)).toMatchObject({ overruled: 1n, looks: 1n, apart: 0n });
  });

  test("with too few answers says what the first one said, but refunds where any objected", () => {
    const quiet = lookedAt();
    network.reveal(quiet.request.id, quiet.validator);
    network.block(Number(LOCALNET_PARAMS.dutyDeadline));
    expect(statusOf(quiet.request)).toBe(Status.VALID);
    network = new TestNetwork(undefined, { ...ALWAYS, committeeQuorum: 3 });
    const doubted = lookedAt();
    network.judge(doubted.request.id, doubted.members[0]!, Verdict.INVALID);
    network.block(Number(LOCALNET_PARAMS.dutyDeadline));
    expect(statusOf(doubted.request)).toBe(Status.INCONCLUSIVE);
    expect(network.deposit()).toMatchObject({ available: DEPOSITED, locked: 0n });
  });

  test("shows nobody's fault where fewer than three windows can be compared", () => {
    network = new TestNetwork(["ann", "bob", "cid", "dan"], ALWAYS);
    const request = network.drawn({ executor: network.operators[1]! }, { completionTokens: TOKENS });
    const validator = first(request);
    network.inventors.add(validator);
    network.judge(request.id, validator);
    network.block(2);
    const [member] = network.dutiesOf(request);
    network.commit(request.id, member!);
    network.block();
    network.reveal(request.id, member!);
    network.reveal(request.id, validator);
    expect(statusOf(request)).toBe(Status.VALID);
    expect(network.chain.eventsOf("values_rejected")).toEqual([]);
  });
});

describe("a committee after an accusation", () => {
  test("compares windows, too: who accuses or answers without having computed is found", () => {
    for (const lazy of ["accuser", "member"]) {
      network = new TestNetwork();
      const request = network.drawn({}, { completionTokens: TOKENS });
      const accuser = first(request);
      if (lazy === "accuser") network.inventors.add(accuser);
      network.judge(request.id, accuser, Verdict.INVALID);
      network.block(2);
      const members = network.dutiesOf(request);
      const inventor = lazy === "accuser" ? accuser : members[0]!;
      network.inventors.add(inventor);
      for (const member of members)
        network.judge(request.id, member, member === inventor ? Verdict.VALID : Verdict.INVALID);
      expect(statusOf(request)).toBe(Status.INVALID);
      expect(network.chain.eventsOf("values_rejected")).toMatchObject([{ validator: inventor, reason: "apart" }]);
    }
  });

  test("does not wait for the accuser's window where nobody is left to compare it with", () => {
    network = new TestNetwork();
    const request = network.drawn({}, { completionTokens: TOKENS });
    const accuser = first(request);
    const before = collateralOf(accuser);
    network.contested(request);
    network.block(Number(LOCALNET_PARAMS.commitDeadline));
    expect(statusOf(request)).toBe(Status.INCONCLUSIVE);
    expect(collateralOf(accuser)).toBe(before);
    expect(network.chain.eventsOf("values_rejected")).toEqual([]);
  });

  test("takes no verdict of valid on an answer without any values", () => {
    const request = network.drawn({}, { completionTokens: TOKENS });
    const validator = first(request);
    const none = { valuesHash: new Uint8Array(32), positions: 0, gatedMargins: 0, salt: request.id };
    const { chainId } = network.chain;
    const { id: inferenceId } = request;
    network.commit(inferenceId, validator, checkCommitment({ chainId, inferenceId, validator, ...none }));
    for (const verdict of [Verdict.VALID, Verdict.ABSTAIN]) {
      expect(network.reveal(inferenceId, validator, verdict, none)).toBe(ERRORS.invalidCommitment.code);
    }
    expect(network.reveal(inferenceId, validator, Verdict.INVALID, none)).toBe(0);
  });
});

describe("a window", () => {
  test("is drawn when nobody can commit any more, and not opened before", () => {
    const request = network.drawn({}, { completionTokens: TOKENS });
    const validator = first(request);
    network.judge(request.id, validator);
    network.block(2);
    const [a, ...rest] = network.dutiesOf(request);
    network.commit(request.id, a!);
    expect(network.windowOf(request.id)).toBe(0);
    for (const member of rest) network.commit(request.id, member);
    expect(network.windowOf(request.id)).toBe(0);
    expect(network.reveal(request.id, a!)).toBe(ERRORS.stillCommitting.code);
    network.block();
    expect(network.windowOf(request.id)).toBeGreaterThan(0);
    expect(network.windowOf(request.id)).toBeLessThanOrEqual(3);
  });

  test("must be there, the drawn one, and what was committed to", () => {
    const { request, validator, members } = lookedAt();
    const own = valuesOf("tiny", TOKENS);
    const drawn = network.windowOf(request.id);
    const other = (drawn % 3) + 1;
    const made = windowOf(valuesOf("made up", TOKENS), drawn);
    for (const [by, missing] of [
      [members[0]!, ERRORS.windowMissing.code],
      [validator, 0],
    ] as const) {
      expect(network.reveal(request.id, by, Verdict.VALID, { window: undefined })).toBe(missing);
      for (const window of [
        windowOf(own, other),
        made,
        { coded: new Uint8Array(3_000), path: [] },
        { coded: windowOf(own, drawn)!.coded, path: [] },
      ]) {
        expect(network.reveal(request.id, by, Verdict.VALID, { window })).toBe(ERRORS.windowMismatch.code);
      }
    }
    expect(network.reveal(request.id, validator)).toBe(0);
    expect(network.check(request)?.duties[0]?.windowPositions).toBeGreaterThan(0);
  });
});

describe("findings", () => {
  const windows = (...models: string[]) =>
    verification.Check.fromPartial({
      secondLook: true,
      status: Status.COMMITTEE,
      duties: models.map((model, i) => ({
        validator: `${i}`,
        committee: i > 0,
        verdict: Verdict.VALID,
        commitment: new Uint8Array(32),
        window: valuesOf(model, 32).windows[0]!,
        windowPositions: 32,
      })),
    });

  test.each<[string[], string[]]>([
    [["m", "m", "m", "m"], []],
    [["x", "m", "m", "m"], ["0"]],
    [["m", "m", "x"], ["2"]],
    [["x", "y", "m"], []], // nobody has two thirds behind it
    [["m", "m", "x", "x"], []],
    [
      ["m", "m", "m", "m", "x", "x"],
      ["4", "5"],
    ],
    [["m", "m", "m", "x", "x", "x"], []],
    [["m", "x"], []],
  ])("of %j: apart %j", (models, apart) => {
    expect(findingsOf(windows(...models)).apart).toEqual(apart);
  });

  test("never name anybody who agrees with two thirds", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom("a", "b", "c"), { minLength: 1, maxLength: 9 }), (models) => {
        const { apart, agreed } = findingsOf(windows(...models));
        const behind = (name: string): number => models.filter((model) => model === models[Number(name)]).length;
        for (const name of apart) expect(3 * behind(name)).toBeLessThanOrEqual(models.length);
        for (const name of agreed) expect(apart).not.toContain(name);
        if (apart.length > 0) expect(Math.max(...agreed.map(behind)) * 3).toBeGreaterThanOrEqual(2 * models.length);
      }),
      { numRuns: 200 },
    );
  });
});

describe("money", () => {
  test.each([DEFAULT_PARAMS, LOCALNET_PARAMS])("laziness and bought verdicts lose at the shipped rates", (p) => {
    // What one skipped check or one false answer brings is less than what a second look costs, times its rate.
    expect((BigInt(p.secondLookMicros) * p.failureFine) / 1_000_000n).toBeGreaterThan(p.gainPerInference);
  });

  test("whatever validators do, what they lose goes to the community, and nobody gains", () => {
    const act = fc.record({
      invents: fc.boolean(),
      verdict: fc.constantFrom(Verdict.VALID, Verdict.ABSTAIN, Verdict.INVALID),
      opens: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(act, { minLength: 6, maxLength: 6 }), (acts) => {
        network = new TestNetwork(undefined, ALWAYS);
        const actOf = (operator: string) => acts[network.operators.indexOf(operator)]!;
        for (const operator of network.operators) if (actOf(operator).invents) network.inventors.add(operator);
        const wealth = () =>
          network.operators.map((each) => collateralOf(each) + memoryBank.balance(network.chain.ctx, each));
        const before = wealth();
        const request = network.drawn({}, { completionTokens: TOKENS });
        const validator = first(request);
        network.judge(request.id, validator, actOf(validator).verdict);
        network.block(2);
        for (const member of network.dutiesOf(request)) network.commit(request.id, member);
        network.block();
        for (const member of network.dutiesOf(request)) {
          if (actOf(member).opens) network.reveal(request.id, member, actOf(member).verdict);
        }
        if (actOf(validator).opens) network.reveal(request.id, validator, actOf(validator).verdict);
        network.block(20);
        const record = network.record(request)!;
        expect([Status.VALID, Status.ABSTAINED, Status.INVALID, Status.INCONCLUSIVE]).toContain(statusOf(request));
        const convicted = statusOf(request) === Status.INVALID;
        for (const [i, after] of wealth().entries()) {
          // Only a false answer's fine has an accuser's share; what second looks take, nobody gets.
          if (!convicted) expect(after).toBeLessThanOrEqual(before[i]!);
          const { apart } = network.standing(network.operators[i]!);
          if (!acts[i]!.invents && acts[i]!.opens && acts.filter(({ invents }) => invents).length <= 1)
            expect(apart).toBe(0n);
        }
        const { INVALID, INCONCLUSIVE } = inference.InferenceStatus;
        if (record.status === INVALID || record.status === INCONCLUSIVE)
          expect(network.deposit().available).toBe(DEPOSITED);
      }),
      { numRuns: 60 },
    );
  });
});

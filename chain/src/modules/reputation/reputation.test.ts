import { reputation } from "@karat/proto";
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { errorOf } from "../testing/context.ts";
import { MODEL, TestNetwork } from "../testing/network.ts";
import {
  addFail,
  addMiss,
  addPass,
  addServed,
  credit,
  exclude,
  inEpoch,
  isUnreliable,
  newReputation,
  newStanding,
} from "./transition.ts";

const { StandingState } = reputation;
const ALPHA = { alphaMicros: 1_000, missAlphaMicros: 100_000 };

let network = new TestNetwork();
beforeEach(() => {
  network = new TestNetwork();
});

const executor = () => network.operators[1]!;
const ctx = () => network.chain.ctx;
const fail = (accusers: readonly string[] = ["x", "y"], epoch = 3n) =>
  network.reputation.fail(ctx(), { operator: executor(), model: MODEL, accusers, epoch });
const pass = (tokens: bigint) => network.reputation.pass(ctx(), executor(), MODEL, tokens);
const rowOf = () => network.reputationOf(executor()).reputation!;
const rateOf = () => network.reputationOf(executor()).checkingRateMicros;

describe("standing", () => {
  test("evidence multiplies: more failures never look better, more passes never look worse", () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { maxLength: 60 }), (history) => {
        let standing = newStanding("a");
        for (const failed of history) {
          const next = failed ? addFail(standing, ["x"], ALPHA) : addPass(standing, ALPHA);
          if (standing.passes + standing.fails > 0n) {
            if (failed) expect(next.log2Evidence).toBeGreaterThanOrEqual(standing.log2Evidence);
            else expect(next.log2Evidence).toBeLessThanOrEqual(standing.log2Evidence);
          }
          standing = next;
        }
        expect(standing.passes + standing.fails).toBe(BigInt(history.length));
      }),
    );
  });

  test("two failures suspend, three by two operators are not enough, one operator alone never excludes", () => {
    let standing = newStanding("a");
    const states = [];
    for (let i = 0; i < 4; i++) {
      standing = addFail(standing, ["x", "y"], ALPHA);
      states.push(standing.state);
    }
    expect(states).toEqual([
      StandingState.GOOD,
      StandingState.SUSPENDED,
      StandingState.SUSPENDED,
      StandingState.EXCLUDED,
    ]);
    let alone = newStanding("a");
    for (let i = 0; i < 50; i++) alone = addFail(alone, ["x"], ALPHA);
    expect(alone.state).toBe(StandingState.SUSPENDED);
    expect(alone.accusers).toEqual(["x"]);
  });

  test("broken promises suspend and exclude on their own, kept ones win trust back", () => {
    let standing = newStanding("a");
    const states: reputation.StandingState[] = [];
    for (let i = 0; i < 12; i++) {
      standing = addMiss(standing, ALPHA);
      states.push(standing.state);
    }
    expect(states.indexOf(StandingState.SUSPENDED)).toBe(4);
    expect(states.indexOf(StandingState.EXCLUDED)).toBe(10);
    expect(standing.log2Evidence).toBeLessThanOrEqual(0n);
    // One in twenty is within what an honest executor misses.
    let honest = newStanding("a");
    for (let i = 0; i < 2_000; i++) honest = i % 20 === 0 ? addMiss(honest, ALPHA) : addServed(honest, ALPHA);
    expect(honest.state).toBe(StandingState.GOOD);
    let sorry = newStanding("a");
    for (let i = 0; i < 5; i++) sorry = addMiss(sorry, ALPHA);
    expect(sorry.state).toBe(StandingState.SUSPENDED);
    for (let i = 0; i < 40; i++) sorry = addServed(sorry, ALPHA);
    expect(sorry.state).toBe(StandingState.GOOD);
  });

  test("a validator is unreliable when committees overrule it more often than error explains", () => {
    const judged = (overruled: bigint, dutiesAssigned: bigint) =>
      isUnreliable({ ...newStanding("a"), overruled, dutiesAssigned }, 20_000);
    expect([judged(1n, 1n), judged(2n, 2n), judged(3n, 3n)]).toEqual([false, false, true]);
    expect([judged(2n, 100n), judged(20n, 1_000n), judged(120n, 1_000n)]).toEqual([false, false, true]);
  });

  test("keeps eight accusers, each once", () => {
    const names = Array.from({ length: 20 }, (_, i) => `p${i % 12}`);
    expect(addFail(newStanding("a"), names, ALPHA).accusers).toEqual(names.slice(0, 8));
  });

  test("an exclusion spends the evidence and keeps the counts of service", () => {
    const before = { ...addFail(newStanding("a"), ["x"], ALPHA), assigned: 9n, misses: 2n, dutiesAssigned: 4n };
    expect(exclude(before)).toEqual({
      ...newStanding("a"),
      state: StandingState.EXCLUDED,
      assigned: 9n,
      misses: 2n,
      dutiesAssigned: 4n,
    });
  });

  test("a failure is fined at once, up to what the collateral holds", () => {
    const before = network.participants.byOperator(ctx(), executor())!.collateral;
    fail();
    const { failureFine } = network.params.get(ctx());
    expect(network.participants.byOperator(ctx(), executor())!.collateral).toBe(before - failureFine);
    network.setParams({ failureFine: before });
    fail();
    expect(network.participants.byOperator(ctx(), executor())!.collateral).toBe(0n);
    network.assertInvariants();
  });

  test("of somebody who has left is not moved any more", () => {
    network.reputation.fail(ctx(), { operator: "gone", model: MODEL, accusers: ["x"], epoch: 3n });
    network.reputation.convict(ctx(), { operator: "gone", model: MODEL, epoch: 3n });
    expect(network.standing("gone")).toEqual(newStanding("gone"));
  });

  test("after an exclusion, evidence of a later epoch counts anew", () => {
    for (let i = 0; i < 4; i++) fail();
    expect(network.standing(executor()).state).toBe(StandingState.EXCLUDED);
    fail();
    expect(network.standing(executor()).fails).toBe(0n);
    network.epochs.next();
    fail(["x", "y"], 4n);
    expect(network.standing(executor())).toMatchObject({ fails: 1n, state: StandingState.GOOD });
  });
});

describe("reputation", () => {
  const half = 1_000n;

  test("is half of the whole at the half point, and grows with audited clean tokens only", () => {
    const row = { ...newReputation("a", MODEL), epochStartMicros: 0 };
    expect(credit(row, half, half, 1_000_000).valueMicros).toBe(500_000);
    network.reputation.abstain(ctx(), executor());
    network.reputation.finished(ctx(), executor(), MODEL);
    expect(rowOf()).toMatchObject({ cleanTokens: 0n, valueMicros: 0, inferencesThisEpoch: 1n });
  });

  test("grows by no more than the cap in one epoch, however much is dealt to oneself", () => {
    const grow = fc.array(fc.record({ tokens: fc.bigInt(0n, 10n ** 12n), nextEpoch: fc.boolean() }), { maxLength: 40 });
    fc.assert(
      fc.property(grow, (steps) => {
        let row = newReputation("a", MODEL);
        let epoch = 0n;
        for (const { tokens, nextEpoch } of steps) {
          if (nextEpoch) epoch++;
          row = credit(inEpoch(row, epoch), tokens, half, 33_333);
          expect(row.valueMicros).toBeLessThanOrEqual(row.epochStartMicros + 33_333);
        }
        expect(row.valueMicros).toBeLessThanOrEqual(Math.min(999_999, 33_333 * Number(epoch + 1n)));
      }),
    );
  });

  test("is gone after an exclusion, for every model", () => {
    network.setParams({ reputationHalfTokens: 10n });
    pass(1_000n);
    network.reputation.pass(ctx(), executor(), "tiny-2", 1_000n);
    network.reputation.pass(ctx(), network.operators[2]!, MODEL, 1_000n);
    expect(rowOf().valueMicros).toBe(200_000);
    network.reputation.convict(ctx(), { operator: executor(), model: MODEL, epoch: 3n });
    expect(rowOf()).toMatchObject({ cleanTokens: 0n, valueMicros: 0 });
    expect(network.reputation.checkingRateMicros(ctx(), executor(), "tiny-2")).toBe(1_000_000);
    expect(network.reputationOf(network.operators[2]!).reputation!.valueMicros).toBe(200_000);
  });
});

describe("the checking rate", () => {
  beforeEach(() => {
    network.setParams({ reputationHalfTokens: 1n, reputationGrowthCapMicros: 1_000_000, gainPerInference: 1n });
  });

  test("is certainty for a newcomer, for the first inference of an epoch, and under suspicion", () => {
    expect(rateOf()).toBe(1_000_000);
    pass(1_000_000n);
    expect(rateOf()).toBe(1_000_000);
    network.reputation.finished(ctx(), executor(), MODEL);
    expect(rateOf()).toBeLessThan(20_000);
    expect(rateOf()).toBeGreaterThanOrEqual(10_000);
    network.epochs.next();
    expect(rateOf()).toBe(1_000_000);
    network.reputation.finished(ctx(), executor(), MODEL);
    for (let i = 0; i < 3; i++) fail();
    expect(network.standing(executor()).state).toBe(StandingState.SUSPENDED);
    expect(rateOf()).toBe(1_000_000);
  });

  test("is certainty where there is more to gain by cheating than to lose", () => {
    pass(1_000_000n);
    network.reputation.finished(ctx(), executor(), MODEL);
    network.setParams({ gainPerInference: 10n ** 15n });
    expect(rateOf()).toBe(1_000_000);
  });

  test("is higher for a model of which a check finds less", () => {
    pass(1_000_000n);
    for (let i = 0; i < 2; i++) network.reputation.finished(ctx(), executor(), MODEL);
    const before = rateOf();
    const model = network.params.model(ctx(), MODEL)!;
    network.params.setModel(ctx(), { ...model, detectionMicros: 95_000 });
    expect(rateOf()).toBeGreaterThanOrEqual(2 * before);
    network.params.setModel(ctx(), { ...model, detectionMicros: 950_000 });
    expect(rateOf()).toBe(before);
  });

  test("falls with reputation, not with time", () => {
    network.reputation.finished(ctx(), executor(), MODEL);
    for (let i = 0; i < 50; i++) network.epochs.next();
    network.reputation.finished(ctx(), executor(), MODEL);
    expect(rateOf()).toBe(1_000_000);
  });
});

describe("queries", () => {
  test("know newcomers and refuse what is no address", () => {
    const ask = (participant: string) =>
      network.query(
        network.reputation,
        "/karat.reputation.v1.Query/Standing",
        reputation.QueryStandingRequest.encode({ participant }).finish(),
        reputation.QueryStandingResponse.decode,
      ).standing;
    expect(ask(executor())).toEqual(newStanding(executor()));
    expect(errorOf(() => ask("x"))?.code).toBe(7);
    expect(errorOf(() => network.reputation.checkingRateMicros(ctx(), executor(), MODEL))).toBeUndefined();
  });
});

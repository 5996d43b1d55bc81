/** A request's whole life through the application: real transactions, real draws, real money. */
import { toHex } from "@karat/common";
import { inference, typeUrls, verification } from "@karat/proto";
import { describe, expect, test } from "vitest";
import { COST, DEPOSITED, Players } from "../testing/players.ts";

const { InferenceStatus } = inference;
const { CheckStatus, Verdict } = verification;

describe("an honest answer", () => {
  test("authorization, start, finish, delivery, duty, verdict, settlement, reward", () => {
    const players = new Players(4);
    players.blocks(2);
    const { id, executor } = players.serve();
    expect(players.inference(id)).toMatchObject({ status: InferenceStatus.FINISHED, executor, cost: COST });
    expect(players.deposit()).toMatchObject({ available: DEPOSITED - COST, locked: COST });

    expect(players.check(id)).toMatchObject({ status: CheckStatus.PENDING, rateMicros: 1_000_000 });
    expect(players.judge(Verdict.VALID)).toBe(1);
    expect(players.check(id).status).toBe(CheckStatus.ANSWERED);
    players.blocks();
    const check = players.check(id);
    expect(check.status).toBe(CheckStatus.VALID);
    expect(players.inference(id).status).toBe(InferenceStatus.FINISHED);

    const before = players.balance(executor);
    players.toNextEpoch();
    players.blocks();
    expect(players.inference(id)).toMatchObject({ status: InferenceStatus.SETTLED, locked: 0n });
    expect(players.deposit()).toMatchObject({ available: DEPOSITED - COST, locked: 0n });
    const transferShare = executor === players.transferAgent.operator.address ? 4n : 0n;
    expect(players.balance(executor) - before).toBe(90n + transferShare);

    players.toNextEpoch();
    const validator = check.duties[0]!.validator;
    expect(players.reward(0n, executor)).toMatchObject({ assigned: 1n, missed: 0n, excluded: false });
    const earned = players.reward(0n, validator);
    expect(earned).toMatchObject({ duties: 1n, dutiesMissed: 0n, dutyFees: 5n });
    expect(earned.emission).toBeGreaterThan(0n);
    const sidecar = players.participant(validator).validator;
    const held = players.balance(validator);
    players.send(sidecar, typeUrls.claimRewards, { sender: sidecar.address, epoch: 0n });
    expect(players.balance(validator) - held).toBe(earned.emission + earned.dutyFees);
    expect(players.events.map(({ type }) => type)).toEqual(
      expect.arrayContaining(["inference_start", "inference_finish", "inference_delivery", "duty_assigned", "verdict"]),
    );
  });
});

describe("a cheater", () => {
  test("is excluded after four failing checks; clients have everything back, nobody draws it any more", () => {
    const players = new Players(6);
    players.blocks(2);
    const cheater = players.harness.participants[1]!.operator.address;
    let failures = 0;
    while (players.eventsOf("participant_excluded").length === 0) {
      const { id } = players.serve(cheater);
      players.blocks();
      expect(players.judge(Verdict.INVALID)).toBe(1);
      players.blocks(2);
      expect(players.judge(Verdict.INVALID)).toBe(4); // three members, and the accuser opens its window
      expect(players.inference(id).status).toBe(InferenceStatus.INVALID);
      expect(players.deposit()).toMatchObject({ available: DEPOSITED, locked: 0n });
      failures++;
      expect(failures).toBeLessThanOrEqual(5);
    }
    expect(failures).toBe(4);
    const refunds = players.eventsOf("inference_invalid");
    expect(refunds).toHaveLength(4);
    expect(refunds[0]).toMatchObject({ refund: String(COST), executor: cheater, client: players.client.address });

    const excluded = players.eventsOf("participant_excluded")[0]!;
    expect(excluded.participant).toBe(cheater);
    expect(BigInt(excluded.slashed!)).toBeGreaterThan(0n);
    const epochOfCrime = BigInt(excluded.epoch!);
    for (let i = 0; i < 3; i++) expect(players.serve().executor).not.toBe(cheater);
    while (players.epoch().number < epochOfCrime + 2n) players.blocks();
    expect(players.reward(epochOfCrime, cheater)).toMatchObject({ excluded: true, emission: 0n, dutyFees: 0n });
    const memberIn = (number: bigint) =>
      players
        .epoch(number)
        .members.some(({ operator, excludedHeight }) => operator === cheater && excludedHeight === 0n);
    expect([0n, 1n, 2n].map((later) => memberIn(epochOfCrime + later))).toEqual([false, false, true]);
  });

  test("that signs two answers is excluded by its own signatures, without any check", () => {
    const players = new Players(4);
    players.blocks(2);
    const cheater = players.harness.participants[2]!.operator.address;
    const { id } = players.serve(cheater, "Lyon, I should say.");
    expect(players.inference(id)).toMatchObject({ status: InferenceStatus.INVALID, locked: 0n });
    expect(players.deposit()).toMatchObject({ available: DEPOSITED, locked: 0n });
    expect(players.eventsOf("participant_excluded")).toMatchObject([{ participant: cheater, epoch: "0" }]);
    expect(players.eventsOf("inference_invalid")).toMatchObject([{ inference_id: toHex(id), refund: String(COST) }]);
    players.blocks(15);
    expect(players.eventsOf("duty_missed")).toEqual([]);
  });
});

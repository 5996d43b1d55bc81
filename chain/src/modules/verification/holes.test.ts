import { verification } from "@karat/proto";
import { beforeEach, describe, expect, test } from "vitest";
import { DEPOSITED, TestNetwork } from "../testing/network.ts";
import { deliveryOf, otherHash, type Request } from "../testing/records.ts";
import { isOpen } from "./transition.ts";

const { CheckStatus: Status, Verdict } = verification;

let network = new TestNetwork();
beforeEach(() => {
  network = new TestNetwork();
});

const statusOf = (request: Request) => network.check(request)?.status;
const first = (request: Request): string => network.dutiesOf(request)[0]!;

describe("holes that peers had", () => {
  /** The executor's inference is checked and every answer is against it. */
  function caught(executor: string): Request {
    const request = network.drawn({ executor });
    for (const member of network.contested(request)) network.judge(request.id, member, Verdict.INVALID);
    expect(statusOf(request)).toBe(Status.INVALID);
    return request;
  }

  test("an executor that launders is out after four or five failing checks", () => {
    const executor = network.operators[1]!;
    let failures = 0;
    while (network.chain.eventsOf("participant_excluded").length === 0) {
      caught(executor);
      failures++;
      expect(failures).toBeLessThanOrEqual(5);
    }
    expect(failures).toBeGreaterThanOrEqual(4);
    expect(network.chain.eventsOf("participant_excluded")).toMatchObject([{ participant: executor }]);
    expect(network.rewards.calls).toContain(`exclude ${executor} 3`);
    expect(network.standing(executor)).toMatchObject({ fails: 0n, passes: 0n, state: 3, accusers: [] });
    expect(network.deposit()).toMatchObject({ available: DEPOSITED, locked: 0n });
    const states = network.chain.eventsOf("standing_changed").map(({ state }) => state);
    expect(states).toEqual(["suspended", "excluded"]);
  });

  test("what was in flight when it was excluded fines it and does not convict it a second time", () => {
    const executor = network.operators[1]!;
    const late = network.drawn({ executor });
    const members = network.contested(late);
    const two = network.served({ executor });
    network.deliver([deliveryOf(network, two, { outputHash: otherHash("two") })]);
    const { participants, chain } = network;
    expect(participants.byOperator(chain.ctx, executor)?.convictions).toBe(1);
    for (const member of members) network.judge(late.id, member, Verdict.INVALID);
    expect(statusOf(late)).toBe(Status.INVALID);
    expect(network.standing(executor).fails).toBe(0n);
    expect(participants.byOperator(chain.ctx, executor)?.convictions).toBe(1);
    expect(chain.eventsOf("participant_fined")).toHaveLength(2);
  });

  test("a short output cannot pass without a check, and cannot fail by its length", () => {
    const request = network.drawn({}, { completionTokens: 1 });
    expect(network.check(request)).toMatchObject({ status: Status.PENDING, rateMicros: 1_000_000 });
    network.judge(request.id, first(request), Verdict.ABSTAIN);
    const again = network.drawn({ executor: request.executor }, { completionTokens: 1 });
    expect(network.check(again)?.rateMicros).toBe(1_000_000);
    expect(network.standing(request.executor)).toMatchObject({ passes: 0n, fails: 0n, abstentions: 1n });
  });

  test("one failed check never makes the whole network work", () => {
    const names = Array.from({ length: 20 }, (_, i) => `p${i}`);
    const large = new TestNetwork(names);
    const request = large.drawn();
    large.contested(request);
    expect(large.check(request)?.duties).toHaveLength(1 + 3);
  });

  test("a vote cannot hang: every check ends, whoever is silent", () => {
    const requests = Array.from({ length: 10 }, () => network.served());
    network.block(2);
    for (const request of requests.slice(0, 5)) network.judge(request.id, first(request), Verdict.INVALID);
    network.block(60);
    expect(requests.filter((request) => isOpen(statusOf(request)!))).toEqual([]);
  });
});

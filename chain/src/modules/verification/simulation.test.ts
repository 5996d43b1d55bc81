import { inference, verification } from "@karat/proto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { DEPOSITED, TestNetwork } from "../testing/network.ts";
import { deliveryOf, finishOf, otherHash, type Request } from "../testing/records.ts";
import { isOpen } from "./transition.ts";

const { Verdict } = verification;
const InferenceStatus = inference.InferenceStatus;

const action = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("start" as const), attempt: fc.nat(2) }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant("finish" as const),
      at: fc.nat(),
      tokens: fc.integer({ min: 1, max: 99 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("error" as const), at: fc.nat() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("deliver" as const), at: fc.nat(), lie: fc.nat(9) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("judge" as const),
      at: fc.nat(),
      verdict: fc.constantFrom(Verdict.VALID, Verdict.VALID, Verdict.INVALID, Verdict.UNAVAILABLE, Verdict.ABSTAIN),
    }),
  },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("blocks" as const), n: fc.integer({ min: 1, max: 4 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("epoch" as const) }) },
);
type Action = typeof action extends fc.Arbitrary<infer T> ? T : never;

/** One step; records that are refused are part of the game. */
function play(network: TestNetwork, requests: Request[], step: Action): void {
  const one = (at: number): Request | undefined => requests[at % Math.max(requests.length, 1)];
  switch (step.kind) {
    case "start": {
      if (network.epochs.members(network.chain.ctx).length < 4) return;
      const request = network.request({ attempt: step.attempt });
      if (network.start([request.record])[0] === 0) requests.push(request);
      return;
    }
    case "finish": {
      const request = one(step.at);
      if (request) network.finish([finishOf(request, { completionTokens: step.tokens })], request.executor);
      return;
    }
    case "error": {
      const request = one(step.at);
      if (request) network.finish([finishOf(request, { error: "broken" })], request.executor);
      return;
    }
    case "deliver": {
      const request = one(step.at);
      const content = step.lie === 0 ? { outputHash: otherHash("lie") } : {};
      if (request) network.deliver([deliveryOf(network, request, content)]);
      return;
    }
    case "judge": {
      const request = one(step.at);
      for (const validator of request ? network.dutiesOf(request) : []) {
        network.judge(request!.id, validator, step.verdict);
        return;
      }
      return;
    }
    case "blocks":
      network.block(step.n);
      return;
    case "epoch":
      network.epochs.next();
      return;
    default:
      step satisfies never;
  }
}

test("whatever happens, money is conserved, every inference ends, and only what was accepted is paid", () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 80 }), (steps) => {
      const network = new TestNetwork();
      const requests: Request[] = [];
      for (const step of steps) {
        play(network, requests, step);
        network.assertInvariants();
      }
      network.block(60);
      network.epochs.next();
      network.block(2);

      const ends = requests.map((request) => network.record(request)!);
      expect(ends.filter(({ status }) => status <= InferenceStatus.FINISHED)).toEqual([]);
      const checks = requests.flatMap((request) => network.check(request) ?? []);
      expect(checks.filter(({ status }) => isOpen(status))).toEqual([]);
      const paid = ends.filter(({ status }) => status === InferenceStatus.SETTLED);
      const spent = paid.reduce((sum, { cost }) => sum + cost, 0n);
      expect(network.deposit()).toMatchObject({ available: DEPOSITED - spent, locked: 0n });
      expect(network.rewards.distributed.reduce((sum, { amount }) => sum + amount, 0n)).toBe(spent);
      for (const { id } of paid) {
        const status = network.check({ id })?.status ?? verification.CheckStatus.UNCHECKED;
        expect([
          verification.CheckStatus.UNCHECKED,
          verification.CheckStatus.VALID,
          verification.CheckStatus.ABSTAINED,
        ]).toContain(status);
      }
    }),
    { numRuns: 60 },
  );
}, 300_000);

/** Outputs too short for evidence: pooled, judged together, and never passes by themselves (attack A12). */
import { inference, verification } from "@karat/proto";
import { beforeEach, expect, test } from "vitest";
import { DEPOSITED, TestNetwork } from "../testing/network.ts";
import type { Request } from "../testing/records.ts";
import { POOL_AGE } from "./pool.ts";

const { Verdict } = verification;

let network = new TestNetwork();
let executor = "";
beforeEach(() => {
  network = new TestNetwork();
  executor = network.operators[1]!;
});

const short = (tokens = 20): Request => network.drawn({ executor }, { completionTokens: tokens });
const first = (request: Request): string => network.dutiesOf(request)[0]!;

/** Outputs whose validators have computed and could not tell. */
function abstained(count: number): Request[] {
  return Array.from({ length: count }, () => {
    const request = short();
    expect(network.judge(request.id, first(request), Verdict.ABSTAIN)).toBe(0);
    return request;
  });
}

test("what was abstained from is judged together with the output that makes it enough", () => {
  const waiting = abstained(3);
  const fourth = short();
  expect(network.check(fourth)?.pooled).toEqual(waiting.map(({ id }) => id));
  network.judge(fourth.id, first(fourth), Verdict.VALID);
  expect(network.standing(executor)).toMatchObject({ passes: 1n, abstentions: 3n });
  expect(network.reputationOf(executor).reputation?.cleanTokens).toBe(80n);
  expect(network.check(short())?.pooled).toEqual([]);
});

test("found false together: all are refunded, and it is one failure", () => {
  const waiting = abstained(3);
  const fourth = short();
  for (const member of network.contested(fourth)) network.judge(fourth.id, member, Verdict.INVALID);
  const statuses = [...waiting, fourth].map((request) => network.record(request)?.status);
  expect(new Set(statuses)).toEqual(new Set([inference.InferenceStatus.INVALID]));
  expect(network.deposit()).toMatchObject({ available: DEPOSITED, locked: 0n });
  expect(network.standing(executor)).toMatchObject({ fails: 1n, passes: 0n });
});

test("a long output is judged alone, and what waits goes on waiting", () => {
  const waiting = abstained(3);
  const long = network.drawn({ executor }, { completionTokens: 64 });
  expect(network.check(long)?.pooled).toEqual([]);
  expect(network.check(short())?.pooled).toHaveLength(waiting.length);
});

test("another executor's outputs, a refusal of the engine and what is too old are not pooled", () => {
  const other = network.drawn({ executor: network.operators[2]! }, { completionTokens: 60 });
  network.judge(other.id, first(other), Verdict.ABSTAIN);
  const refused = network.drawn({ executor }, { completionTokens: 60 });
  network.reveal(refused.id, first(refused), Verdict.ABSTAIN);
  expect(network.check(short())?.pooled).toEqual([]);
  const old = network.drawn({ executor }, { completionTokens: 60 });
  network.judge(old.id, first(old), Verdict.ABSTAIN);
  network.chain.height += POOL_AGE;
  expect(network.check(short())?.pooled).toEqual([]);
});

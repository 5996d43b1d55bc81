/** Attacks on the protocol (A13, A18, A19): what the chain's modules make of cheating executors and validators. */
import { verification } from "@karat/proto";
import { beforeEach, describe, expect, test } from "vitest";
import { TestNetwork } from "../../chain/src/modules/testing/network.ts";
import { finishOf } from "../../chain/src/modules/testing/records.ts";

const { CheckStatus: Status, Verdict } = verification;

let network = new TestNetwork();
beforeEach(() => {
  network = new TestNetwork();
});

const hash = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);

describe("A13, honest only when checked", () => {
  test("the commitment is on the chain before anybody can know of a check, and cannot be changed after", () => {
    const request = network.served({}, { artifactRoot: hash(1) });
    // Finished and committed, not drawn: the beacon that draws is of a later block.
    expect(network.check(request)).toBeUndefined();
    network.block(2);
    expect(network.dutiesOf(request)).toHaveLength(1);
    const before = network.record(request)?.root;
    const codes = network.finish([finishOf(request, { artifactRoot: hash(2) })], request.executor);
    expect(codes[0]).not.toBe(0);
    expect(network.record(request)?.root).toEqual(before);
  });
});

describe("A18, lying and colluding validators", () => {
  test("a false accusation convicts nobody and counts against the accuser", () => {
    const request = network.drawn();
    const liar = network.dutiesOf(request)[0]!;
    for (const member of network.contested(request)) network.judge(request.id, member, Verdict.VALID);
    expect(network.check(request)?.status).toBe(Status.VALID);
    expect(network.standing(request.executor).fails).toBe(0n);
    expect(network.standing(liar).overruled).toBe(1n);
  });

  test("two colluding accusers in a committee of three need a third who is not one of them", () => {
    const request = network.drawn();
    const members = network.contested(request); // the first accuser is the one who was drawn
    network.judge(request.id, members[0]!, Verdict.INVALID);
    network.judge(request.id, members[1]!, Verdict.VALID);
    network.judge(request.id, members[2]!, Verdict.VALID);
    expect(network.check(request)?.status).toBe(Status.VALID);
  });

  test("nobody judges an own inference, one served for it, or one it was not drawn for", () => {
    const request = network.drawn();
    for (const operator of [request.executor, network.transferAgent]) {
      expect(network.judge(request.id, operator, Verdict.VALID)).not.toBe(0);
    }
    expect(network.check(request)?.status).toBe(Status.PENDING);
  });
});

describe("A19, a withheld payload", () => {
  test("that a committee cannot get either is a failure: refund and fine", () => {
    const request = network.drawn();
    for (const member of network.contested(request, Verdict.UNAVAILABLE)) {
      network.judge(request.id, member, Verdict.UNAVAILABLE);
    }
    expect(network.check(request)?.status).toBe(Status.INVALID);
    expect(network.standing(request.executor).fails).toBe(1n);
    expect(network.deposit()).toMatchObject({ locked: 0n });
  });

  test("that only the first validator does not get is none", () => {
    const request = network.drawn();
    for (const member of network.contested(request, Verdict.UNAVAILABLE)) {
      network.judge(request.id, member, Verdict.VALID);
    }
    expect(network.check(request)?.status).toBe(Status.VALID);
    expect(network.standing(request.executor).fails).toBe(0n);
  });
});

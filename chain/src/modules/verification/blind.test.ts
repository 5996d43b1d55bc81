/** The blind check: own values are committed before anybody's are seen. */
import { sha256, utf8 } from "@karat/common";
import { verification } from "@karat/proto";
import { beforeEach, describe, expect, test } from "vitest";
import { TestNetwork } from "../testing/network.ts";
import type { Request } from "../testing/records.ts";
import { ERRORS } from "./errors.ts";

const { CheckStatus: Status, Verdict } = verification;

let network = new TestNetwork();
beforeEach(() => {
  network = new TestNetwork();
});

const first = (request: Request): string => network.dutiesOf(request)[0]!;
const statusOf = (request: Request) => network.check(request)?.status;

describe("a verdict", () => {
  test.each([Verdict.VALID, Verdict.INVALID])("of %s without a commitment is refused", (verdict) => {
    const request = network.drawn();
    expect(network.reveal(request.id, first(request), verdict)).toBe(ERRORS.notCommitted.code);
    expect(statusOf(request)).toBe(Status.PENDING);
  });

  test("that finds nothing to compute with needs none", () => {
    const request = network.drawn();
    expect(network.reveal(request.id, first(request), Verdict.ABSTAIN)).toBe(0);
    expect(statusOf(request)).toBe(Status.ABSTAINED);
    const other = network.drawn();
    expect(network.reveal(other.id, first(other), Verdict.UNAVAILABLE)).toBe(0);
    expect(statusOf(other)).toBe(Status.COMMITTEE);
  });

  test.each<[string, Partial<verification.VerdictRecord>, { code: number }]>([
    ["other values", { valuesHash: sha256(utf8("other")) }, ERRORS.commitmentMismatch],
    ["another salt", { salt: new Uint8Array(32) }, ERRORS.commitmentMismatch],
    ["other sampling statistics", { gatedMargins: 9 }, ERRORS.commitmentMismatch],
    ["another number of positions", { positions: 21 }, ERRORS.commitmentMismatch],
    ["no values", { valuesHash: new Uint8Array() }, ERRORS.invalidCommitment],
    ["a short salt", { salt: new Uint8Array(15) }, ERRORS.invalidCommitment],
  ])("that opens %s is refused, whatever it says", (_, change, kind) => {
    const request = network.drawn();
    const validator = first(request);
    expect(network.commit(request.id, validator)).toBe(0);
    for (const verdict of [Verdict.VALID, Verdict.INVALID, Verdict.ABSTAIN, Verdict.UNAVAILABLE]) {
      expect(network.reveal(request.id, validator, verdict, change)).toBe(kind.code);
    }
    expect(network.reveal(request.id, validator)).toBe(0);
    expect(statusOf(request)).toBe(Status.VALID);
  });

  test("cannot open the commitment of somebody else", () => {
    const request = network.drawn();
    const validator = first(request);
    const copied = network.commitmentOf(request.id, network.operators.find((operator) => operator !== validator)!);
    expect(network.commit(request.id, validator, copied)).toBe(0);
    expect(network.reveal(request.id, validator)).toBe(ERRORS.commitmentMismatch.code);
  });
});

describe("a commitment", () => {
  test("is made once, by who was drawn, in time", () => {
    const request = network.drawn();
    const validator = first(request);
    const commit = (by: string, commitment?: Uint8Array) => network.commit(request.id, by, commitment);
    expect(commit(request.executor)).toBe(ERRORS.notDrawn.code);
    expect(commit(validator, new Uint8Array(31))).toBe(ERRORS.invalidCommitment.code);
    expect(commit(validator)).toBe(0);
    expect(commit(validator)).toBe(0);
    expect(commit(validator, sha256(utf8("other")))).toBe(ERRORS.alreadyCommitted.code);
    expect(network.chain.eventsOf("check_committed")).toMatchObject([{ validator }]);
    const late = network.drawn();
    network.chain.height += 11n;
    expect(network.commit(late.id, first(late))).toBe(ERRORS.late.code);
    expect(network.commit(sha256(utf8("none")), validator)).toBe(ERRORS.unknownCheck.code);
  });

  test("that is not made in time is a missed duty, and another validator is asked", () => {
    const request = network.drawn();
    const missed = first(request);
    network.block(10);
    expect(first(request)).not.toBe(missed);
    expect(network.standing(missed)).toMatchObject({ dutiesMissed: 1n, unrevealed: 0n });
    expect(network.commit(request.id, missed)).toBe(ERRORS.late.code);
    expect(network.reveal(request.id, missed, Verdict.ABSTAIN)).toBe(ERRORS.late.code);
  });

  test("that no verdict opens is a missed duty and counted", () => {
    const request = network.drawn();
    const missed = first(request);
    network.commit(request.id, missed);
    network.block(15);
    expect(first(request)).toBe(missed);
    network.block();
    expect(first(request)).not.toBe(missed);
    expect(network.standing(missed)).toMatchObject({ dutiesMissed: 1n, unrevealed: 1n });
  });
});

describe("a committee", () => {
  test("answers only when all who are in time have committed: nobody can wait for the others' answers", () => {
    const request = network.drawn();
    const objector = first(request);
    const members = network.contested(request);
    const [a, b, silent] = members as [string, string, string];
    network.commit(request.id, a);
    expect(network.reveal(request.id, a, Verdict.INVALID)).toBe(ERRORS.stillCommitting.code);
    network.commit(request.id, b);
    expect(network.reveal(request.id, b, Verdict.INVALID)).toBe(ERRORS.stillCommitting.code);
    network.block(11); // the silent one has missed it
    expect(network.standing(silent).dutiesMissed).toBe(1n);
    expect(network.reveal(request.id, a, Verdict.INVALID)).toBe(0);
    expect(network.reveal(request.id, b, Verdict.INVALID)).toBe(0);
    expect(statusOf(request)).toBe(Status.COMMITTEE); // the objector has to open a window of its values, too
    expect(network.reveal(request.id, objector, Verdict.INVALID)).toBe(0);
    expect(statusOf(request)).toBe(Status.INVALID);
  });

  test("whose members all have committed answers with the next block", () => {
    const request = network.drawn();
    const objector = first(request);
    const members = network.contested(request);
    for (const member of members) network.commit(request.id, member);
    network.block();
    expect(network.reveal(request.id, objector, Verdict.INVALID)).toBe(0);
    for (const member of members) expect(network.reveal(request.id, member, Verdict.VALID)).toBe(0);
    expect(statusOf(request)).toBe(Status.VALID);
  });
});

import { toBech32 } from "@cosmjs/encoding";
import { sha256, toHex } from "@karat/common";
import { epoch, participant, slashing, typeUrls } from "@karat/proto";
import {
  QuerySigningInfoRequest,
  QuerySigningInfoResponse,
  QuerySigningInfosRequest,
  QuerySigningInfosResponse,
} from "cosmjs-types/cosmos/slashing/v1beta1/query";
import { BlockIDFlag } from "cosmjs-types/tendermint/types/validator";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type AppHarness, AppHarness as Harness, type TestParticipant } from "../../app/testing/index.ts";
import { LOCALNET_PARAMS } from "../params/index.ts";
import { SLASHING_ERRORS } from "./index.ts";
import { isQuorum, tolerated } from "./transition.ts";

const WINDOW = 10n;
const JAIL = 5n;
const COLLATERAL = 1_000_000_000n;
const { BANNED } = participant.ParticipantStatus;
const addressOf = ({ consensusKey }: TestParticipant) => sha256(consensusKey).slice(0, 20);

function chain(participants = 5, window = WINDOW): AppHarness {
  return new Harness({
    participants,
    accounts: Array.from({ length: participants }, (_, i) => i).map((i) => ({
      address: operatorOf(i),
      amount: 10n ** 9n,
    })),
    collateral: COLLATERAL,
    params: {
      ...LOCALNET_PARAMS,
      signedBlocksWindow: window,
      minSignedMicros: 500_000,
      downtimeJailBlocks: JAIL,
      downtimeSlashBps: 100,
      doubleSignSlashBps: 2_000,
    },
  });
}
const operatorOf = (index: number): string => names.participants[index]!.operator.address;
const names = new Harness({ participants: 5 });

/** A block whose last commit lacks these validators. */
function block(harness: AppHarness, absent: readonly number[], present = harness.participants.map((_, i) => i)) {
  const votes = present.map((i) => ({
    validator: { address: addressOf(harness.participants[i]!), power: 10n },
    blockIdFlag: absent.includes(i) ? BlockIDFlag.BLOCK_ID_FLAG_ABSENT : BlockIDFlag.BLOCK_ID_FLAG_COMMIT,
  }));
  return harness.deliver([], { decidedLastCommit: { round: 0, votes } });
}
const doubleSign = (harness: AppHarness, index: number, type = 1) => {
  const validator = { address: addressOf(harness.participants[index]!), power: 10n };
  const evidence = { type, validator, height: harness.height, time: { seconds: 0n, nanos: 0 }, totalVotingPower: 50n };
  return harness.deliver([], { misbehavior: [evidence] });
};
const info = (harness: AppHarness, index: number) =>
  harness.query(
    "/karat.slashing.v1.Query/SigningInfo",
    slashing.QuerySigningInfoRequest,
    slashing.QuerySigningInfoResponse,
    {
      operator: operatorOf(index),
    },
  ).info!;
const entry = (harness: AppHarness, index: number) =>
  harness.query(
    "/karat.participant.v1.Query/Participant",
    participant.QueryParticipantRequest,
    participant.QueryParticipantResponse,
    {
      address: operatorOf(index),
    },
  ).participant!;
const unjail = (harness: AppHarness, index: number) => {
  const { operator } = harness.participants[index]!;
  const message = { typeUrl: typeUrls.unjail, value: { operator: operator.address } };
  return harness.deliver([harness.tx(operator, message, { gasLimit: 1_000_000n, fee: 100_000n })]).results[0]!;
};
const updatesOf = (updates: readonly { pubKey: { ed25519?: Uint8Array }; power: bigint }[]) =>
  updates.map(({ pubKey, power }) => [toHex(pubKey.ed25519!), power]);

describe("two votes for one height", () => {
  test.each([1, 2])("cost collateral, place and consensus power, once and for good (evidence of type %i)", (type) => {
    const harness = chain();
    const key = toHex(harness.participants[1]!.consensusKey);
    const { validatorUpdates, events } = doubleSign(harness, 1, type);
    expect(updatesOf(validatorUpdates)).toEqual([[key, 0n]]);
    expect(events.map((event) => event.type)).toContain("slash");
    expect(entry(harness, 1)).toMatchObject({ status: BANNED, collateral: (COLLATERAL * 4n) / 5n });
    expect(info(harness, 1)).toMatchObject({ jailed: true, tombstoned: true });
    const again = doubleSign(harness, 1);
    expect(again.events.map((event) => event.type)).not.toContain("slash");
    expect(entry(harness, 1).collateral).toBe((COLLATERAL * 4n) / 5n);
    expect(unjail(harness, 1)).toMatchObject(SLASHING_ERRORS.stillJailed);
    harness.jump(2 * Number(LOCALNET_PARAMS.epochBlocks));
    const current = harness.query(
      "/karat.epoch.v1.Query/CurrentEpoch",
      epoch.QueryCurrentEpochRequest,
      epoch.QueryEpochResponse,
      {},
    ).epoch!;
    expect(current.members.map(({ operator }) => operator)).not.toContain(operatorOf(1));
    expect(unjail(harness, 1)).toMatchObject(SLASHING_ERRORS.stillJailed);
  });

  test("of a key that nobody has registered are nobody's", () => {
    const harness = chain();
    const validator = { address: new Uint8Array(20).fill(9), power: 10n };
    const evidence = { type: 1, validator, height: 1n, time: { seconds: 0n, nanos: 0 }, totalVotingPower: 50n };
    expect(harness.deliver([], { misbehavior: [evidence] }).validatorUpdates).toEqual([]);
  });

  test("of everybody leave the set as it is: a chain without validators is none", () => {
    const harness = chain(1);
    expect(doubleSign(harness, 0).validatorUpdates).toEqual([]);
    expect(entry(harness, 0).status).toBe(BANNED);
    harness.jump(Number(LOCALNET_PARAMS.epochBlocks) + 1);
  });
});

describe("being down", () => {
  test("for more than the window tolerates takes consensus power until the validator asks for it again", () => {
    const harness = chain();
    const key = toHex(harness.participants[2]!.consensusKey);
    let jailedAt = 0n;
    for (let i = 0; i < 30 && jailedAt === 0n; i++) {
      const { validatorUpdates, height } = block(harness, [2]);
      if (validatorUpdates.length === 0) continue;
      expect(updatesOf(validatorUpdates)).toEqual([[key, 0n]]);
      jailedAt = height;
    }
    // Seen from block 2 on; judged when the window has been gone through in whole.
    expect(jailedAt).toBe(2n + WINDOW);
    expect(info(harness, 2)).toMatchObject({ jailed: true, tombstoned: false, jailedUntil: jailedAt + JAIL });
    expect(entry(harness, 2).collateral).toBe(COLLATERAL - COLLATERAL / 100n);
    expect(unjail(harness, 2)).toMatchObject(SLASHING_ERRORS.stillJailed);
    while (harness.height < jailedAt + JAIL) block(harness, [], [0, 1, 3, 4]);
    expect(unjail(harness, 2).code).toBe(0);
    expect(unjail(harness, 2)).toMatchObject(SLASHING_ERRORS.notJailed);
    expect(info(harness, 2)).toMatchObject({ jailed: false, missed: 0n });
    let back = false;
    for (let i = 0n; i < LOCALNET_PARAMS.epochBlocks && !back; i++) {
      back = updatesOf(block(harness, [], [0, 1, 3, 4]).validatorUpdates).some(
        ([name, power]) => name === key && power === 100n,
      );
    }
    expect(back).toBe(true);
  });

  test("a little is forgiven, and what was missed leaves the window", () => {
    const harness = chain();
    for (let round = 0; round < 4; round++) {
      for (let i = 0; i < 5; i++) block(harness, [2]);
      for (let i = 0; i < 5; i++) block(harness, []);
    }
    expect(info(harness, 2)).toMatchObject({ jailed: false, missed: 5n });
    for (let i = 0; i < 5; i++) block(harness, []);
    expect(info(harness, 2).missed).toBe(0n);
  });

  test("does not count where the commit is no quorum, as of the embedded engine, nor with a window of 0", () => {
    const solo = chain();
    for (let i = 0; i < 25; i++) expect(block(solo, [1, 2, 3, 4]).validatorUpdates).toEqual([]);
    const off = chain(5, 0n);
    for (let i = 0; i < 25; i++) expect(block(off, [2]).validatorUpdates).toEqual([]);
    expect(() => info(off, 2)).toThrow();
  });
});

test("the misses that are counted are those of the last window, whatever comes", () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { maxLength: 40 }), (absent) => {
      const harness = chain(4, 8n);
      const seen: boolean[] = [];
      for (const isAbsent of absent) {
        block(harness, isAbsent ? [3] : []);
        if (info(harness, 3).jailed) return;
        seen.push(isAbsent);
        expect(info(harness, 3).missed).toBe(BigInt(seen.slice(-8).filter(Boolean).length));
      }
    }),
    { numRuns: 15 },
  );
});

test("limits: two thirds are no quorum, and the tolerated misses round down", () => {
  const votes = (signed: number, all: number) =>
    Array.from({ length: all }, (_, i) => ({ power: 1n, signed: i < signed }));
  expect(isQuorum(votes(2, 3))).toBe(false);
  expect(isQuorum(votes(3, 4))).toBe(true);
  expect(isQuorum([])).toBe(false);
  expect(tolerated({ signedBlocksWindow: 7n, minSignedMicros: 500_000 })).toBe(3n);
});

test("cosmos.slashing shows signing as explorers know it", () => {
  const harness = chain();
  block(harness, [1]);
  doubleSign(harness, 0);
  const { info: all } = harness.query(
    "/cosmos.slashing.v1beta1.Query/SigningInfos",
    QuerySigningInfosRequest,
    QuerySigningInfosResponse,
    {},
  );
  const shown = (index: number) => {
    const address = toBech32("karatvalcons", addressOf(harness.participants[index]!));
    const one = harness.query(
      "/cosmos.slashing.v1beta1.Query/SigningInfo",
      QuerySigningInfoRequest,
      QuerySigningInfoResponse,
      { consAddress: address },
    ).valSigningInfo;
    expect(all).toContainEqual(one);
    return one;
  };
  expect(shown(0)).toMatchObject({ tombstoned: true, jailedUntil: { seconds: 253_402_300_799n } });
  expect(shown(1)).toMatchObject({ tombstoned: false, missedBlocksCounter: 1n, jailedUntil: { seconds: 0n } });
  for (const consAddress of ["", "karatvalcons1", operatorOf(0), toBech32("karatvalcons", new Uint8Array(20))]) {
    const asked = () =>
      harness.query("/cosmos.slashing.v1beta1.Query/SigningInfo", QuerySigningInfoRequest, QuerySigningInfoResponse, {
        consAddress,
      });
    expect(asked).toThrow();
  }
});

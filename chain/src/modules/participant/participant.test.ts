import { participant } from "@karat/proto";
import { beforeEach, describe, expect, test } from "vitest";
import { type ErrorKind, SDK } from "../../app/errors.ts";
import { createParamsModule, LOCALNET_PARAMS } from "../params/index.ts";
import { memoryBank } from "../testing/bank.ts";
import { errorOf, TestChain } from "../testing/context.ts";
import { keyNamed, proofOf, registrationOf } from "../testing/identities.ts";
import { createParticipantModule, PARTICIPANT_ERRORS } from "./index.ts";
import { ACCOUNT, COMMUNITY } from "./keys.ts";
import { EDGES, type Step } from "./transition.ts";

const { ACTIVE, EXCLUDED, BANNED, LEAVING } = participant.ParticipantStatus;
const COLLATERAL = 1_000_000_000n;
const SLASH = (COLLATERAL * BigInt(LOCALNET_PARAMS.slashBps)) / 10_000n;
const url = (name: string) => `/karat.participant.v1.Msg${name}`;
const alice = keyNamed("alice").address;

let chain: TestChain;
let refreshed: string[];
let module: ReturnType<typeof createParticipantModule>;

beforeEach(() => {
  chain = new TestChain();
  refreshed = [];
  const params = createParamsModule();
  params.set(chain.ctx, LOCALNET_PARAMS);
  for (const id of ["tiny", "small"]) {
    params.setModel(chain.ctx, {
      id,
      weightsHash: new Uint8Array(32),
      contextLength: 64,
      vocabularySize: 64,
      quantization: "f16",
      number: 0,
      detectionMicros: 0,
      embeddingDimensions: 0,
    });
  }
  module = createParticipantModule({
    bank: memoryBank,
    params,
    epochs: { refresh: (_, { operator }) => void refreshed.push(operator) },
  });
  for (const name of ["alice", "bob"]) memoryBank.mint(chain.ctx, keyNamed(name).address, 2n * COLLATERAL);
});

const register = (change: Parameters<typeof registrationOf>[1] = {}, name = "alice") =>
  chain.refusal(module, url("RegisterParticipant"), registrationOf(name, change));
const send = (name: string, message: object) => chain.refusal(module, url(name), { operator: alice, ...message });
const update = (message: Partial<participant.MsgUpdateParticipant>) =>
  send("UpdateParticipant", participant.MsgUpdateParticipant.fromPartial({ operator: alice, ...message }));
const stored = () => module.byOperator(chain.ctx, alice)!;
const holds = () => expect(module.invariants!(chain.ctx)).toEqual([]);

describe("registration", () => {
  test("moves the collateral and is found under every address", () => {
    expect(register()).toBeUndefined();
    expect(memoryBank.balance(chain.ctx, ACCOUNT)).toBe(COLLATERAL);
    expect(stored()).toMatchObject({ status: ACTIVE, joinedHeight: 1n, nodeAddress: keyNamed("alice node").address });
    expect(module.byNodeAddress(chain.ctx, keyNamed("alice node").address)?.operator).toBe(alice);
    expect(module.byValidatorAddress(chain.ctx, keyNamed("alice validator").address)?.operator).toBe(alice);
    expect(module.byNodeAddress(chain.ctx, alice)).toBeUndefined();
    expect(module.isProtocolSigner(chain.ctx, keyNamed("alice node").address)).toBe(true);
    expect(module.isProtocolSigner(chain.ctx, alice)).toBe(false);
    holds();
  });

  const offer = { model: "tiny", inputPrice: 1n, outputPrice: 1n, capacity: 1n };
  test("proves that it has its consensus key, for itself and this chain", () => {
    const [alice, mallory] = [registrationOf("alice"), registrationOf("mallory")];
    const { consensusKey, consensusProof } = alice;
    const badProof = PARTICIPANT_ERRORS.badProof;
    expect(register({ consensusKey, consensusProof }, "mallory")).toEqual(badProof);
    expect(register({ consensusProof: mallory.consensusProof })).toEqual(badProof);
    expect(register({ consensusProof: new Uint8Array() })).toEqual(badProof);
    expect(register({ consensusProof: new Uint8Array(64) })).toEqual(badProof);
    expect(register({ consensusKey: new Uint8Array() })).toEqual(badProof);
    expect(register({ consensusKey: new Uint8Array(32).fill(255) })).toEqual(badProof);
    expect(register({ consensusKey: new Uint8Array(), consensusProof: new Uint8Array() }, "bob")).toBeUndefined();
  });

  test.each<[string, Parameters<typeof registrationOf>[1], ErrorKind]>([
    ["another prefix", { operator: "cosmos1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqnrql8a" }, SDK.invalidAddress],
    ["no validator address", { validatorAddress: "" }, SDK.invalidAddress],
    ["a node key that is no point", { nodeKey: new Uint8Array(33).fill(2, 0, 1).fill(255, 1) }, SDK.invalidPubKey],
    ["a short consensus key", { consensusKey: new Uint8Array(31) }, SDK.invalidPubKey],
    ["a url of a script", { url: "javascript:alert(1)" }, PARTICIPANT_ERRORS.invalidUrl],
    ["a url with credentials", { url: "http://user:word@host" }, PARTICIPANT_ERRORS.invalidUrl],
    ["two offers for one model", { offers: [offer, offer] }, PARTICIPANT_ERRORS.invalidOffer],
    ["an offer without capacity", { offers: [{ ...offer, capacity: 0n }] }, PARTICIPANT_ERRORS.invalidOffer],
    [
      "a price that would overflow",
      { offers: [{ ...offer, outputPrice: 1n << 62n }] },
      PARTICIPANT_ERRORS.invalidOffer,
    ],
    ["an unlisted model", { models: ["huge"] }, PARTICIPANT_ERRORS.unknownModel],
    ["no collateral", { collateral: 0n }, SDK.invalidCoins],
    ["little collateral", { collateral: LOCALNET_PARAMS.minCollateral - 1n }, PARTICIPANT_ERRORS.collateralTooSmall],
    ["more collateral than coins", { collateral: 3n * COLLATERAL }, SDK.insufficientFunds],
  ])("%s is refused and leaves nothing behind", (_, change, code) => {
    expect(register(change)).toEqual(code);
    expect(module.all(chain.ctx)).toEqual([]);
    holds();
  });

  test("nobody overwrites an entry or takes another's keys", () => {
    register();
    expect(register()).toEqual(PARTICIPANT_ERRORS.alreadyRegistered);
    const alices = registrationOf("alice");
    for (const change of [
      { nodeKey: alices.nodeKey },
      { validatorAddress: alices.validatorAddress },
      { consensusKey: alices.consensusKey, consensusProof: proofOf("alice", keyNamed("bob").address) },
    ]) {
      expect(register(change, "bob")).toEqual(PARTICIPANT_ERRORS.keyTaken);
    }
    expect(register({}, "bob")).toBeUndefined();
    holds();
  });
});

describe("update", () => {
  test("replaces what is given and keeps the rest", () => {
    register();
    const nodeKey = keyNamed("alice's second node").publicKey;
    expect(update({ nodeKey })).toBeUndefined();
    expect(stored()).toMatchObject({ url: registrationOf("alice").url, nodeKey });
    expect(module.byNodeAddress(chain.ctx, keyNamed("alice node").address)).toBeUndefined();
    expect(refreshed).toEqual([alice]);
    holds();
  });

  test("is refused for strangers, unlisted models and keys of others", () => {
    expect(update({ url: "http://x" })).toEqual(PARTICIPANT_ERRORS.notRegistered);
    register();
    register({}, "bob");
    expect(update({ nodeKey: keyNamed("bob node").publicKey })).toEqual(PARTICIPANT_ERRORS.keyTaken);
    expect(update({ offers: [{ model: "huge", inputPrice: 1n, outputPrice: 1n, capacity: 1n }] })).toEqual(
      PARTICIPANT_ERRORS.unknownModel,
    );
    holds();
  });
});

describe("leaving", () => {
  test("collateral comes back after the unbonding time, and the keys are free again", () => {
    register();
    expect(send("WithdrawCollateral", {})).toEqual(PARTICIPANT_ERRORS.notLeaving);
    expect(send("Leave", {})).toBeUndefined();
    expect(send("Leave", {})).toEqual(PARTICIPANT_ERRORS.leaving);
    expect(send("AddCollateral", { amount: 1n })).toEqual(PARTICIPANT_ERRORS.leaving);
    expect(module.active(chain.ctx)).toEqual([]);

    chain.height += LOCALNET_PARAMS.unbondingBlocks - 1n;
    expect(send("WithdrawCollateral", {})).toEqual(PARTICIPANT_ERRORS.stillLocked);
    chain.height += 1n;
    expect(chain.deliver(module, url("WithdrawCollateral"), { operator: alice })).toEqual({ amount: COLLATERAL });
    expect(memoryBank.balance(chain.ctx, alice)).toBe(2n * COLLATERAL);
    expect(stored()).toBeUndefined();
    expect(register()).toBeUndefined();
    holds();
  });

  test("does not wash convictions away", () => {
    register();
    module.convict(chain.ctx, alice, 1n);
    send("Leave", {});
    chain.height += LOCALNET_PARAMS.unbondingBlocks;
    expect(send("WithdrawCollateral", {})).toBeUndefined();
    register();
    expect(stored().convictions).toBe(1);
    holds();
  });

  test("does not save from a conviction", () => {
    register();
    send("Leave", {});
    expect(module.convict(chain.ctx, alice, 1n)).toBe(SLASH);
    expect(module.convict(chain.ctx, alice, 1n)).toBe(0n);
    expect(stored()).toMatchObject({ status: LEAVING, collateral: COLLATERAL - SLASH });
    holds();
  });
});

describe("conviction", () => {
  test("slashes once per sentence, to the community", () => {
    register();
    expect(module.convict(chain.ctx, alice, 4n)).toBe(SLASH);
    expect(module.convict(chain.ctx, alice, 4n)).toBe(0n);
    expect(memoryBank.balance(chain.ctx, COMMUNITY)).toBe(SLASH);
    expect(stored()).toMatchObject({ status: EXCLUDED, convictions: 1, excludedEpoch: 4n });
    expect(chain.eventsOf("participant_excluded")).toEqual([
      { participant: alice, epoch: "4", slashed: SLASH.toString(), convictions: "1" },
    ]);
    module.reinstate(chain.ctx, alice);
    expect(stored().status).toBe(ACTIVE);
    holds();
  });

  test("bans after the last one; the rest of the collateral can be taken, the name stays out", () => {
    register();
    for (let epoch = 1n; epoch <= 3n; epoch++) {
      expect(module.convict(chain.ctx, alice, epoch)).toBeGreaterThan(0n);
      if (epoch < 3n) module.reinstate(chain.ctx, alice);
    }
    expect(stored().status).toBe(BANNED);
    expect(errorOf(() => module.reinstate(chain.ctx, alice))).toEqual(PARTICIPANT_ERRORS.banned);
    expect(module.isProtocolSigner(chain.ctx, keyNamed("alice node").address)).toBe(false);
    expect(update({ url: "http://x" })).toEqual(PARTICIPANT_ERRORS.banned);
    expect(send("Leave", {})).toBeUndefined();
    chain.height += LOCALNET_PARAMS.unbondingBlocks;
    expect(send("WithdrawCollateral", {})).toBeUndefined();
    expect(send("WithdrawCollateral", {})).toEqual(PARTICIPANT_ERRORS.nothingToWithdraw);
    expect(register()).toEqual(PARTICIPANT_ERRORS.banned);
    holds();
  });

  test("a fine takes what there is and no more; strangers pay nothing", () => {
    register({ collateral: LOCALNET_PARAMS.minCollateral });
    expect(module.fine(chain.ctx, alice, 7n)).toBe(7n);
    expect(module.fine(chain.ctx, alice, COLLATERAL)).toBe(LOCALNET_PARAMS.minCollateral - 7n);
    expect(module.fine(chain.ctx, alice, 1n)).toBe(0n);
    expect(module.fine(chain.ctx, keyNamed("nobody").address, 1n)).toBe(0n);
    expect(module.convict(chain.ctx, keyNamed("nobody").address, 1n)).toBe(0n);
    holds();
  });
});

test("only these edges exist", () => {
  const steps = (status: participant.ParticipantStatus) => Object.keys(EDGES[status]).sort() as Step[];
  expect(steps(ACTIVE)).toEqual(["ban", "convict", "fund", "leave", "update"]);
  expect(steps(EXCLUDED)).toEqual(["ban", "fund", "leave", "reinstate", "update"]);
  expect(steps(LEAVING)).toEqual(["ban", "convict", "update"]);
  expect(steps(BANNED)).toEqual(["leave"]);
});

test("genesis mints the collateral, refuses bad entries, and survives an export", () => {
  register();
  register({}, "bob");
  module.convict(chain.ctx, keyNamed("bob").address, 2n);
  const exported = JSON.parse(JSON.stringify(module.exportGenesis!(chain.ctx)));
  const before = module.all(chain.ctx);

  const params = createParamsModule();
  const start = (state: unknown) => {
    chain = new TestChain();
    params.initGenesis!(chain.ctx, {
      models: [
        { id: "tiny", weightsHash: `${"A".repeat(43)}=`, contextLength: 1, vocabularySize: 1, quantization: "f16" },
      ],
    });
    module = createParticipantModule({ bank: memoryBank, params, epochs: { refresh: () => undefined } });
    module.initGenesis!(chain.ctx, state);
  };
  start(exported);
  expect(module.all(chain.ctx)).toEqual(before);
  expect(memoryBank.supply(chain.ctx)).toBe(2n * COLLATERAL - SLASH);
  holds();

  const [entry] = exported.participants;
  for (const bad of [
    { participants: [entry, entry] },
    { participants: [{ ...entry, nodeAddress: alice }] },
    { participants: [{ ...entry, colateral: "1" }] },
    { participants: [{ ...entry, status: undefined, collateral: "1" }] },
    { participants: {} },
  ]) {
    expect(errorOf(() => start(bad))).toEqual(SDK.invalidGenesis);
  }
});

test("queries find by any address and page by operator", () => {
  register();
  register({}, "bob");
  const ask = (request: Partial<participant.QueryParticipantsRequest>) =>
    participant.QueryParticipantsResponse.decode(
      module.queries!["/karat.participant.v1.Query/Participants"]!(
        chain.ctx,
        participant.QueryParticipantsRequest.encode(participant.QueryParticipantsRequest.fromPartial(request)).finish(),
      ),
    ).participants.map(({ operator }) => operator);
  const [first, second] = [alice, keyNamed("bob").address].sort();
  expect(ask({})).toEqual([first, second]);
  expect(ask({ limit: 1 })).toEqual([first]);
  expect(ask({ after: first! })).toEqual([second]);

  const one = (address: string) =>
    module.queries!["/karat.participant.v1.Query/Participant"]!(
      chain.ctx,
      participant.QueryParticipantRequest.encode({ address }).finish(),
    );
  const found = participant.QueryParticipantResponse.decode(one(keyNamed("alice node").address)).participant;
  expect(found?.operator).toBe(alice);
  expect(errorOf(() => one(keyNamed("nobody").address))).toEqual(SDK.notFound);
});

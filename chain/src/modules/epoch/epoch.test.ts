import { epoch, participant } from "@karat/proto";
import { describe, expect, test } from "vitest";
import { SDK } from "../../app/errors.ts";
import { LOCALNET_PARAMS } from "../params/index.ts";
import { errorOf, NO_FACTS, TestChain } from "../testing/context.ts";
import { operatorsOf, TestEconomy } from "../testing/economy.ts";
import { keyNamed, registrationOf } from "../testing/identities.ts";
import { createEpochModule, EPOCH_ERRORS } from "./index.ts";
import { beacons, STORE } from "./keys.ts";
import { beaconWindow } from "./transition.ts";

const LENGTH = LOCALNET_PARAMS.epochBlocks;
const four = ["ann", "bob", "cid", "dan"];
const prices = { model: "tiny", maxInputPrice: 2n, maxOutputPrice: 5n };

describe("epochs", () => {
  test("follow each other without a gap, from the participants of genesis", () => {
    const net = new TestEconomy(four);
    expect(net.epochs.current(net.chain.ctx)).toMatchObject({ number: 0n, startHeight: 1n, endHeight: LENGTH });
    expect(net.members()).toEqual(operatorsOf(...four));
    net.untilEpoch(2n);
    expect(net.chain.height).toBe(2n * LENGTH + 1n);
    for (const height of [1n, LENGTH, LENGTH + 1n, 2n * LENGTH, 2n * LENGTH + 1n]) {
      expect(net.epochs.at(net.chain.ctx, height)?.number).toBe((height - 1n) / LENGTH);
    }
    expect(net.epochs.at(net.chain.ctx, 3n * LENGTH + 1n)).toBeUndefined();
    expect(net.epochs.at(net.chain.ctx, 0n)).toBeUndefined();
  });

  test("take in who registered, with offers as they stood at the switch", () => {
    const net = new TestEconomy(four);
    net.register("eve");
    expect(net.members()).toEqual(operatorsOf(...four));
    net.untilEpoch(1n);
    expect(net.members()).toEqual(operatorsOf(...four, "eve"));

    const offer = { model: "tiny", inputPrice: 1n, outputPrice: 1n, capacity: 9n };
    net.block(() => {
      const message = participant.MsgUpdateParticipant.fromPartial({
        operator: keyNamed("eve").address,
        offers: [offer],
      });
      net.chain.deliver(net.participants, "/karat.participant.v1.MsgUpdateParticipant", message);
    });
    const offered = () =>
      net.epochs.current(net.chain.ctx).members.find(({ operator }) => operator === keyNamed("eve").address)?.offers;
    expect(offered()).toEqual(registrationOf("eve").offers);
    net.untilEpoch(2n);
    expect(offered()).toEqual([offer]);
  });

  test("a convicted member is out for the rest of the epoch and the next one, then back", () => {
    const net = new TestEconomy(four);
    net.block(() => net.convict("ann", 0n));
    expect(net.epochs.members(net.chain.ctx).map(({ operator }) => operator)).toEqual(operatorsOf("bob", "cid", "dan"));
    net.untilEpoch(1n);
    expect(net.members()).toEqual(operatorsOf("bob", "cid", "dan"));
    net.untilEpoch(2n);
    expect(net.members()).toEqual(operatorsOf(...four));
    expect(net.chain.eventsOf("participant_reinstated")).toEqual([
      { participant: keyNamed("ann").address, epoch: "2" },
    ]);
  });

  test("a conviction in the last block of an epoch counts for that epoch", () => {
    const net = new TestEconomy(four);
    while (net.chain.height < LENGTH) net.block();
    net.block(() => net.convict("ann", 0n));
    expect(net.members()).toEqual(operatorsOf("bob", "cid", "dan"));
  });

  test("who left is not in the next one; when nobody is left the previous members stay", () => {
    const net = new TestEconomy(["ann", "bob"]);
    const leave = (name: string) =>
      net.block(
        () =>
          void net.chain.deliver(net.participants, "/karat.participant.v1.MsgLeave", {
            operator: keyNamed(name).address,
          }),
      );
    leave("ann");
    net.untilEpoch(1n);
    expect(net.members()).toEqual(operatorsOf("bob"));
    leave("bob");
    net.untilEpoch(2n);
    expect(net.members()).toEqual(operatorsOf("bob"));
  });

  test("everybody convicted at once: the set stays, nobody is drawn, and all come back", () => {
    const net = new TestEconomy(["ann", "bob"]);
    net.block(() => {
      net.convict("ann", 0n);
      net.convict("bob", 0n);
    });
    net.untilEpoch(1n);
    expect(net.members()).toEqual(operatorsOf("ann", "bob"));
    expect(net.epochs.members(net.chain.ctx)).toEqual([]);
    net.untilEpoch(2n);
    expect(net.epochs.members(net.chain.ctx).map(({ operator }) => operator)).toEqual(operatorsOf("ann", "bob"));
  });

  test.each([1, 15])(
    "old snapshots are forgotten, not those that rewards or anchors refer to (%i claim epochs)",
    (claimEpochs) => {
      const net = new TestEconomy(four, { epochBlocks: 20n, maxAnchorAge: 20n, claimEpochs });
      const last = 24n;
      net.untilEpoch(last);
      let oldest = 0n;
      while (net.epochs.byNumber(net.chain.ctx, oldest) === undefined) oldest++;
      const window = beaconWindow(net.params.get(net.chain.ctx));
      expect(oldest).toBeGreaterThan(0n);
      // The last epoch whose rewards can be claimed, and the one before, that its inferences may refer to.
      expect(oldest).toBeLessThan(last - BigInt(claimEpochs) - 1n);
      expect(net.epochs.at(net.chain.ctx, net.chain.height - window)).toBeDefined();
    },
  );
});

describe("validator set", () => {
  const keyOf = (name: string) => registrationOf(name).consensusKey;

  test("is that of the members, and changes with them", () => {
    const net = new TestEconomy(four);
    expect(net.epochs.validators(net.chain.ctx)).toHaveLength(4);
    net.block(() => net.convict("ann", 0n));
    net.untilEpoch(1n);
    expect(net.validatorUpdates).toEqual([{ publicKey: keyOf("ann"), power: 0n }]);
    net.untilEpoch(2n);
    expect(net.validatorUpdates).toEqual([{ publicKey: keyOf("ann"), power: 100n }]);
  });

  test("changes refer to the set that consensus really started with", () => {
    const net = new TestEconomy(four);
    const founder = { publicKey: new Uint8Array(32).fill(9), power: 7n };
    net.epochs.setValidators(net.chain.ctx, [founder]);
    net.untilEpoch(1n);
    expect(net.validatorUpdates).toHaveLength(5);
    expect(net.validatorUpdates).toContainEqual({ ...founder, power: 0n });
  });
});

describe("candidates", () => {
  const ids = (net: TestEconomy, change: object = {}) =>
    net.epochs
      .candidates(net.chain.ctx, { ...prices, anchorHeight: net.chain.height - 1n, ...change })
      .map(({ id }) => id);

  test("offer the model within the prices", () => {
    const net = new TestEconomy(four);
    net.block();
    expect(ids(net)).toEqual(operatorsOf(...four));
    expect(ids(net, { maxInputPrice: 1n })).toEqual([]);
    expect(ids(net, { maxOutputPrice: 4n })).toEqual([]);
    expect(ids(net, { model: "other" })).toEqual([]);
  });

  test("are those of the anchor: its epoch, and not excluded at its height", () => {
    const net = new TestEconomy(four);
    net.register("eve");
    net.untilEpoch(1n);
    net.block();
    expect(ids(net, { anchorHeight: LENGTH })).toEqual(operatorsOf(...four));
    expect(ids(net)).toEqual(operatorsOf(...four, "eve"));
    const convictedAt = net.chain.height;
    net.block(() => net.convict("eve", 1n));
    net.block();
    expect(ids(net, { anchorHeight: convictedAt })).toEqual(operatorsOf(...four, "eve"));
    expect(ids(net, { anchorHeight: convictedAt + 1n })).toEqual(operatorsOf(...four));
  });

  test("sign with their newest node key, also in the epoch before", () => {
    const net = new TestEconomy(four);
    net.untilEpoch(1n);
    const nodeKey = keyNamed("new node").publicKey;
    net.block(() => {
      const message = participant.MsgUpdateParticipant.fromPartial({ operator: keyNamed("ann").address, nodeKey });
      net.chain.deliver(net.participants, "/karat.participant.v1.MsgUpdateParticipant", message);
    });
    for (const anchorHeight of [LENGTH, LENGTH + 1n]) {
      const keys = net.epochs
        .candidates(net.chain.ctx, { ...prices, anchorHeight })
        .map((candidate) => candidate.nodeKey);
      expect(keys.filter((key) => key.every((byte, i) => byte === nodeKey[i]))).toHaveLength(1);
    }
  });
});

describe("beacon", () => {
  test("is the same for the same blocks and depends on every one before", () => {
    const run = (poked: bigint) => {
      const net = new TestEconomy(four);
      const source = {
        contribution: (ctx: { height: bigint; blockHash: Uint8Array }) =>
          ctx.height === poked ? new Uint8Array(32) : ctx.blockHash,
      };
      const epochs = createEpochModule({ params: net.params, participants: net.participants, beacon: source });
      for (; net.chain.height <= 6n; net.chain.height++) epochs.beginBlock!(net.chain.ctx, NO_FACTS);
      return [1n, 2n, 3n, 4n, 5n, 6n].map((height) => epochs.beacon(net.chain.ctx, height));
    };
    const [honest, again, poked] = [run(0n), run(0n), run(4n)];
    expect(again).toEqual(honest);
    expect(poked.slice(0, 3)).toEqual(honest.slice(0, 3));
    for (let i = 3; i < 6; i++) expect(poked[i]).not.toEqual(honest[i]);
    expect(new Set(honest.map(String)).size).toBe(6);
  });

  test("is kept for the whole window, also when that grows, and no longer", () => {
    const net = new TestEconomy(four);
    const window = beaconWindow(LOCALNET_PARAMS);
    while (net.chain.height < 300n) net.block();
    const now = net.chain.height - 1n;
    expect(net.epochs.beacon(net.chain.ctx, now - window)).toBeDefined();
    expect(net.epochs.beacon(net.chain.ctx, now - window - 1n)).toBeUndefined();
    net.params.set(net.chain.ctx, { ...LOCALNET_PARAMS, inferenceDeadline: 10n });
    for (let i = 0; i < 20; i++) net.block();
    expect([...beacons.entries(net.chain.ctx.store(STORE))]).toHaveLength(Number(window) - 50 + 1);
  });
});

test("an export starts the same epochs, beacon and validators elsewhere", () => {
  const net = new TestEconomy(four);
  net.untilEpoch(2n);
  net.block(() => net.convict("ann", 1n));
  const exported = JSON.parse(JSON.stringify(net.epochs.exportGenesis!(net.chain.ctx)));
  const chain = new TestChain({ height: net.chain.height });
  net.epochs.initGenesis!(chain.ctx, exported);
  expect(net.epochs.current(chain.ctx)).toEqual(net.epochs.current(net.chain.ctx));
  expect(net.epochs.beacon(chain.ctx, chain.height - 1n)).toEqual(net.epochs.beacon(net.chain.ctx, chain.height - 1n));
  expect(net.epochs.validators(chain.ctx)).toEqual(net.epochs.validators(net.chain.ctx));

  const gap = { ...exported, epochs: [exported.epochs[0], exported.epochs[2]] };
  expect(errorOf(() => net.epochs.initGenesis!(new TestChain().ctx, gap))).toEqual(SDK.invalidGenesis);
});

test("queries answer with epochs and beacons, or with a code", () => {
  const net = new TestEconomy(four);
  net.untilEpoch(1n);
  const ask = (name: string, request: Uint8Array) =>
    net.epochs.queries![`/karat.epoch.v1.Query/${name}`]!(net.chain.ctx, request);
  expect(epoch.QueryEpochResponse.decode(ask("CurrentEpoch", new Uint8Array())).epoch?.number).toBe(1n);
  const byNumber = (number: bigint) => ask("Epoch", epoch.QueryEpochRequest.encode({ number }).finish());
  expect(epoch.QueryEpochResponse.decode(byNumber(0n)).epoch?.endHeight).toBe(LENGTH);
  expect(errorOf(() => byNumber(9n))).toEqual(SDK.notFound);
  const beacon = (height: bigint) => ask("Beacon", epoch.QueryBeaconRequest.encode({ height }).finish());
  expect(epoch.QueryBeaconResponse.decode(beacon(0n)).height).toBe(LENGTH);
  expect(errorOf(() => beacon(LENGTH + 1n))).toEqual(EPOCH_ERRORS.beaconUnavailable);
});

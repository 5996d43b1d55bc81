import { isKaratError } from "@karat/common";
import { deposit, epoch, participant, reward, typeUrls } from "@karat/proto";
import { epochEmission } from "@karat/rules";
import { expect, test } from "vitest";
import { AppHarness, signerOf, TEST_MODEL, testParticipant } from "../../app/testing/index.ts";
import { LOCALNET_PARAMS } from "../params/index.ts";
import { REWARD_ERRORS } from "../reward/index.ts";

const COLLATERAL = 1_000_000_000n;
const FUNDS = 2_000_000_000n;
const emission = (number: bigint) =>
  epochEmission(number, {
    initial: LOCALNET_PARAMS.epochEmission,
    halvingEpochs: BigInt(LOCALNET_PARAMS.emissionHalvingEpochs),
  });
const newcomer = {
  operator: signerOf("newcomer"),
  node: signerOf("newcomer node"),
  validator: signerOf("newcomer validator"),
  consensus: testParticipant(77),
};
const { address } = newcomer.operator;

function start() {
  return new AppHarness({
    participants: 4,
    clients: 1,
    params: LOCALNET_PARAMS,
    accounts: [{ address, amount: FUNDS }],
    seed: "economy",
  });
}

const register = {
  typeUrl: typeUrls.registerParticipant,
  value: participant.MsgRegisterParticipant.fromPartial({
    operator: address,
    nodeKey: newcomer.node.publicKey,
    validatorAddress: newcomer.validator.address,
    consensusKey: newcomer.consensus.consensusKey,
    consensusProof: newcomer.consensus.prove("karat-test", address),
    url: "https://newcomer.example",
    collateral: COLLATERAL,
    offers: [{ model: TEST_MODEL.id, inputPrice: 1n, outputPrice: 2n, capacity: 100n }],
  }),
};
const currentEpoch = (net: AppHarness) =>
  net.query("/karat.epoch.v1.Query/CurrentEpoch", epoch.QueryCurrentEpochRequest, epoch.QueryEpochResponse, {}).epoch!;
const pools = (net: AppHarness) =>
  net.query("/karat.reward.v1.Query/Pools", reward.QueryPoolsRequest, reward.QueryPoolsResponse, {});
const claim = (epochNumber: bigint) => ({
  typeUrl: typeUrls.claimRewards,
  value: { sender: newcomer.validator.address, epoch: epochNumber },
});

/** What the transaction is refused with. */
function refused(run: () => unknown): unknown {
  try {
    run();
    return undefined;
  } catch (error) {
    if (!isKaratError(error, "tx_failed")) throw error;
    return error.data;
  }
}

test("a newcomer registers, joins the next epoch and consensus, earns, claims without fees, leaves and withdraws", () => {
  const net = start();
  net.execute(newcomer.operator, register);
  expect(currentEpoch(net).members).toHaveLength(4);

  net.jumpTo(LOCALNET_PARAMS.epochBlocks - 1n);
  const switched = net.deliver();
  expect(switched.validatorUpdates).toEqual([
    { pubKey: { ed25519: newcomer.consensus.consensusKey, secp256k1: undefined }, power: 100n },
  ]);
  expect(currentEpoch(net)).toMatchObject({ number: 1n, startHeight: LOCALNET_PARAMS.epochBlocks + 1n });
  expect(currentEpoch(net).members.map(({ operator }) => operator)).toContain(address);

  net.jumpTo(3n * LOCALNET_PARAMS.epochBlocks);
  expect(pools(net).minted).toBe(emission(0n) + emission(1n));
  const claimable = net.query(
    "/karat.reward.v1.Query/Claimable",
    reward.QueryClaimableRequest,
    reward.QueryClaimableResponse,
    { participant: address },
  );
  expect(claimable.rewards.map((row) => [row.epoch, row.emission])).toEqual([[1n, emission(1n) / 5n]]);

  // The operator's coins: its reward comes from the validator's key, which owns nothing and pays nothing.
  net.execute(newcomer.validator, claim(1n), { free: true });
  expect(refused(() => net.execute(newcomer.validator, claim(1n), { free: true }))).toEqual(
    REWARD_ERRORS.alreadyClaimed,
  );
  expect(pools(net).rewards).toBe(emission(0n) + 4n * (emission(1n) / 5n));

  net.execute(newcomer.operator, { typeUrl: typeUrls.leave, value: { operator: address } });
  const left = net.height;
  const withdraw = { typeUrl: typeUrls.withdrawCollateral, value: { operator: address } };
  net.jumpTo(4n * LOCALNET_PARAMS.epochBlocks);
  expect(currentEpoch(net).members).toHaveLength(4);
  net.jumpTo(left + LOCALNET_PARAMS.unbondingBlocks - 2n);
  expect(refused(() => net.execute(newcomer.operator, withdraw))).toMatchObject({ codespace: "participant" });
  net.execute(newcomer.operator, withdraw);
  const listed = net.query(
    "/karat.participant.v1.Query/Participants",
    participant.QueryParticipantsRequest,
    participant.QueryParticipantsResponse,
    { after: "", limit: 0 },
  );
  expect(listed.participants.map(({ operator }) => operator)).not.toContain(address);
});

test("a client's deposit is refunded after the lock", () => {
  const net = start();
  const [client] = net.clients;
  const stored = () =>
    net.query("/karat.deposit.v1.Query/Deposit", deposit.QueryDepositRequest, deposit.QueryDepositResponse, {
      client: client!.address,
    }).deposit;
  net.execute(client!, { typeUrl: typeUrls.deposit, value: { sender: client!.address, client: "", amount: 500n } });
  net.execute(client!, { typeUrl: typeUrls.requestRefund, value: { client: client!.address, amount: 300n } });
  expect(stored()).toMatchObject({
    available: 500n,
    refunding: 300n,
    refundHeight: net.height + LOCALNET_PARAMS.refundLock,
  });
  net.jump(Number(LOCALNET_PARAMS.refundLock) - 1);
  net.execute(client!, { typeUrl: typeUrls.withdraw, value: { client: client!.address } });
  expect(stored()).toMatchObject({ available: 200n, refunding: 0n });
});

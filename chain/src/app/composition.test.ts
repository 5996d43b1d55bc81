import { DENOM } from "@karat/common";
import { deposit, epoch, participant, protocolTypeUrls, reward, typeUrls } from "@karat/proto";
import { QueryBalanceRequest, QueryBalanceResponse } from "cosmjs-types/cosmos/bank/v1beta1/query";
import type { PageRequest } from "cosmjs-types/cosmos/base/query/v1beta1/pagination";
import {
  GetLatestBlockRequest,
  GetLatestBlockResponse,
  GetNodeInfoRequest,
  GetNodeInfoResponse,
} from "cosmjs-types/cosmos/base/tendermint/v1beta1/query";
import {
  QueryPoolRequest,
  QueryPoolResponse,
  QueryValidatorsRequest,
  QueryValidatorsResponse,
} from "cosmjs-types/cosmos/staking/v1beta1/query";
import { describe, expect, test } from "vitest";
import { LOCALNET_PARAMS } from "../modules/params/index.ts";
import { composeModules, STORES } from "./compose.ts";
import { buildGenesis } from "./genesis.ts";
import { AppHarness, type HarnessOptions, signerOf, TEST_MODEL, testParticipant } from "./testing/index.ts";
import { validateGenesis } from "./validateGenesis.ts";

const newHarness = (options: HarnessOptions = {}) =>
  new AppHarness({ participants: 4, clients: 1, params: LOCALNET_PARAMS, ...options });

const balance = (harness: AppHarness, address: string) =>
  BigInt(
    harness.query("/cosmos.bank.v1beta1.Query/Balance", QueryBalanceRequest, QueryBalanceResponse, {
      address,
      denom: DENOM,
    }).balance!.amount,
  );

describe("the composition", () => {
  const { modules, endOrder } = composeModules();

  test("has a store for every module and an end for the epoch after everybody else's", () => {
    expect(STORES.names).toEqual(["system", ...modules.map(({ name }) => name)].sort((a, b) => index(a) - index(b)));
    expect(endOrder.at(-1)).toBe("epoch");
    expect(modules.filter(({ beginBlock }) => beginBlock).map(({ name }) => name)).toEqual(["epoch", "slashing"]);
  });

  test("has a handler for every message of the protocol", () => {
    const handled = modules.flatMap(({ messages }) => Object.keys(messages ?? {}));
    expect(handled).toEqual(expect.arrayContaining([...Object.values(typeUrls), ...protocolTypeUrls]));
  });

  const index = (name: string) => STORES.names.indexOf(name);
});

describe("the whole chain", () => {
  test("takes deposits and gives them back after the lock", () => {
    const harness = newHarness();
    const client = harness.clients[0]!;
    const before = balance(harness, client.address);
    const fee = { gasLimit: 200_000n, fee: 5_000n };
    const { address } = client;
    harness.execute(client, { typeUrl: typeUrls.deposit, value: { sender: address, client: "", amount: 1_000n } }, fee);
    const state = () =>
      harness.query("/karat.deposit.v1.Query/Deposit", deposit.QueryDepositRequest, deposit.QueryDepositResponse, {
        client: address,
      }).deposit;
    expect(state()?.available).toBe(1_000n);
    harness.execute(client, { typeUrl: typeUrls.requestRefund, value: { client: address, amount: 1_000n } }, fee);
    harness.jump(Number(LOCALNET_PARAMS.refundLock));
    harness.execute(client, { typeUrl: typeUrls.withdraw, value: { client: address } }, fee);
    expect(balance(harness, address)).toBe(before - 3n * 5_000n);
  });

  test("registers a participant whose new keys can sign at once, and makes it a member with the next epoch", () => {
    const harness = newHarness();
    const late = testParticipant(9);
    const operator = harness.rich;
    harness.execute(operator, {
      typeUrl: typeUrls.registerParticipant,
      value: {
        operator: operator.address,
        nodeKey: late.node.publicKey,
        validatorAddress: late.validator.address,
        consensusKey: late.consensusKey,
        consensusProof: late.prove(harness.chainId, operator.address),
        url: "https://late.example",
        collateral: 1_000_000_000n,
        offers: [{ model: TEST_MODEL.id, inputPrice: 1n, outputPrice: 2n, capacity: 100n }],
      },
    });
    expect(harness.account(late.node.address)).toMatchObject({ sequence: 0n });
    const members = () =>
      harness
        .query("/karat.epoch.v1.Query/CurrentEpoch", epoch.QueryCurrentEpochRequest, epoch.QueryEpochResponse, {})
        .epoch!.members.map((member) => member.operator);
    expect(members()).not.toContain(operator.address);
    harness.jumpTo(LOCALNET_PARAMS.epochBlocks);
    expect(members()).toContain(operator.address);
    const claim = { typeUrl: typeUrls.claimRewards, value: { sender: late.validator.address, epoch: 0n } };
    const tx = harness.tx(late.validator, claim, { free: true });
    // Nothing to claim yet: refused by the message, and not for a fee or an account.
    expect(harness.deliver([tx]).results[0]?.codespace).not.toBe("sdk");
  });

  test("pays the participants of an epoch that is over", () => {
    const harness = newHarness();
    harness.jumpTo(2n * LOCALNET_PARAMS.epochBlocks + 1n);
    const { operator, validator } = harness.participants[0]!;
    const message = {
      typeUrl: typeUrls.claimRewards,
      value: reward.MsgClaimRewards.fromPartial({ sender: validator.address }),
    };
    const before = balance(harness, operator.address);
    harness.execute(validator, message, { free: true });
    expect(balance(harness, operator.address)).toBeGreaterThan(before);
  });

  test("charges who is not registered, also for messages of the protocol", () => {
    const harness = newHarness();
    const client = harness.clients[0]!;
    const message = {
      typeUrl: typeUrls.claimRewards,
      value: reward.MsgClaimRewards.fromPartial({ sender: client.address }),
    };
    expect(harness.deliver([harness.tx(client, message, { free: true })]).results[0]).toMatchObject({ code: 13 });
  });

  test("shows its validators as staking clients know them", () => {
    const harness = newHarness();
    const service = "/cosmos.staking.v1beta1.Query";
    const ask = (pagination: Partial<PageRequest>) =>
      harness.query(
        `${service}/Validators`,
        QueryValidatorsRequest,
        QueryValidatorsResponse,
        QueryValidatorsRequest.fromPartial({ status: "BOND_STATUS_BONDED", pagination }),
      );
    const first = ask({ limit: 3n });
    const second = ask({ limit: 3n, key: first.pagination!.nextKey });
    const keys = [...first.validators, ...second.validators].map(({ operatorAddress }) => operatorAddress);
    expect(new Set(keys).size).toBe(4);
    expect(keys.every((address) => address.startsWith("karatvaloper1"))).toBe(true);
    const { pool } = harness.query(`${service}/Pool`, QueryPoolRequest, QueryPoolResponse, {});
    expect(pool).toEqual({ bondedTokens: "4000000000", notBondedTokens: "0" });
    const answer = harness.app.query({
      path: `${service}/Delegation`,
      data: new Uint8Array(),
      height: 0n,
      prove: false,
    });
    expect(answer.log).toContain("key not found");
  });

  test("says what it is", () => {
    const harness = newHarness();
    const service = "/cosmos.base.tendermint.v1beta1.Service";
    const info = harness.query(`${service}/GetNodeInfo`, GetNodeInfoRequest, GetNodeInfoResponse, {});
    expect(info.defaultNodeInfo?.network).toBe(harness.chainId);
    const { block } = harness.query(`${service}/GetLatestBlock`, GetLatestBlockRequest, GetLatestBlockResponse, {});
    expect(block?.header).toMatchObject({ chainId: harness.chainId, height: harness.height });
  });

  test("comes again from an export", () => {
    const harness = newHarness({ clientDeposit: 500n });
    harness.jumpTo(2n * LOCALNET_PARAMS.epochBlocks + 5n);
    const first = buildGenesis({
      chainId: "karat-again",
      timeMs: 0,
      validators: [{ publicKey: new Uint8Array(32), power: 1n }],
    });
    const state = JSON.parse(JSON.stringify(harness.app.exportGenesis()));
    const again = { ...first, initial_height: String(harness.height + 1n), app_state: state };
    expect(validateGenesis(again).validators.length).toBe(4);
    expect(harness.app.invariants()).toEqual([]);
  });
});

describe("a built genesis", () => {
  const { operator, node, validator, consensusKey } = testParticipant(0);
  const options = {
    chainId: "karat-1",
    timeMs: 1_700_000_000_000,
    accounts: [{ address: operator.address, amount: 7n }],
    participants: [
      {
        operator: operator.address,
        nodeKey: node.publicKey,
        validatorAddress: validator.address,
        consensusKey,
        url: "http://127.0.0.1:8000",
        collateral: 1_000_000_000n,
        offers: [
          participant.Offer.fromPartial({ model: TEST_MODEL.id, inputPrice: 1n, outputPrice: 2n, capacity: 10n }),
        ],
      },
    ],
    deposits: [{ client: signerOf("c").address, available: 9n }],
    params: LOCALNET_PARAMS,
    models: [TEST_MODEL],
  };

  test("has the participants of epoch 0 as its validators", () => {
    const genesis = buildGenesis(options);
    expect(genesis.validators).toMatchObject([
      { pub_key: { value: Buffer.from(consensusKey).toString("base64") }, power: "10" },
    ]);
    expect(validateGenesis(genesis).appHash.length).toBe(32);
  });

  test("is refused with parameters that contradict each other", () => {
    const params = { ...LOCALNET_PARAMS, executorBps: 9_999 };
    expect(() => buildGenesis({ ...options, params })).toThrow(expect.objectContaining({ codespace: "sdk", code: 41 }));
    expect(() => buildGenesis({ ...options, models: [] })).toThrow(
      expect.objectContaining({ codespace: "sdk", code: 41 }),
    );
    const empty = { chainId: "karat-1", timeMs: 0 };
    expect(() => buildGenesis(empty)).toThrow(expect.objectContaining({ code: "bad_genesis" }));
  });

  test("is refused where its state is no part of the composition", () => {
    const genesis = { ...buildGenesis(options), app_state: { staking: {} } };
    expect(() => validateGenesis(genesis)).toThrow(expect.objectContaining({ codespace: "sdk", code: 41 }));
  });
});

import { StargateClient } from "@cosmjs/stargate";
import { Comet38Client, connectComet } from "@cosmjs/tendermint-rpc";
import { DENOM, toBase64, utf8 } from "@karat/common";
import { ConfigResponse, StatusResponse } from "cosmjs-types/cosmos/base/node/v1beta1/query";
import { PageRequest } from "cosmjs-types/cosmos/base/query/v1beta1/pagination";
import {
  GetLatestBlockRequest,
  GetLatestBlockResponse,
  GetLatestValidatorSetRequest,
  GetLatestValidatorSetResponse,
  GetNodeInfoRequest,
  GetNodeInfoResponse,
  GetSyncingRequest,
  GetSyncingResponse,
  GetValidatorSetByHeightRequest,
  GetValidatorSetByHeightResponse,
} from "cosmjs-types/cosmos/base/tendermint/v1beta1/query";
import { PubKey } from "cosmjs-types/cosmos/crypto/ed25519/keys";
import { expect } from "vitest";
import { signerOf } from "../../../chain/src/app/testing/index.ts";
import { CHAIN_ID, type Checks, coins, FEE, failureOf, START_AMOUNT, send, untilHeight } from "./context.ts";

const nobody = signerOf("cosmjs nobody");

/** The node and what it says of itself. */
export const nodeChecks: Checks = (_, check) => {
  check("connects with whatever client connectComet chooses", async ({ endpoint }) => {
    const comet = await connectComet(endpoint);
    expect(comet).toBeInstanceOf(Comet38Client);
    comet.disconnect();
    const stargate = await StargateClient.connect(endpoint);
    expect(await stargate.getChainId()).toBe(CHAIN_ID);
    stargate.disconnect();
  });
  check("chain id", async ({ direct }) => expect(await direct.getChainId()).toBe(CHAIN_ID));
  check("height, and it rises", async (suite) => {
    const height = await suite.direct.getHeight();
    expect(height).toBeGreaterThan(0);
    await untilHeight(suite, height + 1);
  });
  check("status: node, sync state, validator", async ({ comet }) => {
    const { nodeInfo, syncInfo, validatorInfo } = await comet.status();
    expect(nodeInfo).toMatchObject({ network: CHAIN_ID, version: expect.stringMatching(/^0\.38\./) });
    expect(syncInfo.catchingUp).toBe(false);
    expect(syncInfo.latestAppHash.length).toBe(32);
    expect(syncInfo.latestBlockHash.length).toBe(32);
    expect(validatorInfo?.votingPower).toBeGreaterThan(0n);
  });
  check("health", async ({ comet }) => expect(await comet.health()).toBe(null));
  check("abci_info names the application", async ({ comet }) => {
    const info = await comet.abciInfo();
    expect(info.data).toBe("karat");
    expect(info.lastBlockHeight).toBeGreaterThan(0);
    expect(info.lastBlockAppHash?.length).toBe(32);
  });
  check("genesis", async ({ comet }) => {
    const genesis = await comet.genesis();
    expect(genesis.chainId).toBe(CHAIN_ID);
    expect(genesis.appState).toHaveProperty("bank");
  });
  check("tendermint service: node info", async ({ query }) => {
    const { value } = await query.queryAbci(
      "/cosmos.base.tendermint.v1beta1.Service/GetNodeInfo",
      GetNodeInfoRequest.encode({}).finish(),
    );
    const { defaultNodeInfo, applicationVersion } = GetNodeInfoResponse.decode(value);
    expect([defaultNodeInfo?.network, applicationVersion?.appName]).toEqual([CHAIN_ID, "karat"]);
  });
  check("tendermint service: latest block", async ({ query }) => {
    const { value, height } = await query.queryAbci(
      "/cosmos.base.tendermint.v1beta1.Service/GetLatestBlock",
      GetLatestBlockRequest.encode({}).finish(),
    );
    expect(GetLatestBlockResponse.decode(value).sdkBlock?.header.height).toBe(BigInt(height));
  });
  check("tendermint service: not syncing", async ({ query }) => {
    const { value } = await query.queryAbci(
      "/cosmos.base.tendermint.v1beta1.Service/GetSyncing",
      GetSyncingRequest.encode({}).finish(),
    );
    expect(GetSyncingResponse.decode(value).syncing).toBe(false);
  });
  check("tendermint service: validator sets, the latest and of a height", async ({ query, comet }) => {
    const service = "/cosmos.base.tendermint.v1beta1.Service";
    const latest = await query.queryAbci(
      `${service}/GetLatestValidatorSet`,
      GetLatestValidatorSetRequest.encode({}).finish(),
    );
    const { validators, pagination } = GetLatestValidatorSetResponse.decode(latest.value);
    const known = (await comet.validatorsAll()).validators;
    expect([validators.length, pagination?.total]).toEqual([known.length, BigInt(known.length)]);
    expect(validators.map(({ votingPower }) => votingPower)).toEqual(known.map((each) => each.votingPower));
    const key = PubKey.encode({ key: known[0]!.pubkey!.data }).finish();
    expect([validators[0]!.pubKey?.value, validators[0]!.address]).toEqual([
      key,
      expect.stringMatching(/^karatvalcons1/),
    ]);
    const first = await query.queryAbci(
      `${service}/GetValidatorSetByHeight`,
      GetValidatorSetByHeightRequest.encode({ height: 1n }).finish(),
    );
    expect(GetValidatorSetByHeightResponse.decode(first.value).blockHeight).toBe(1n);
    const page = GetLatestValidatorSetRequest.encode({
      pagination: PageRequest.fromPartial({ offset: 1n, limit: 2n }),
    });
    const uneven = await failureOf(query.queryAbci(`${service}/GetLatestValidatorSet`, page.finish()));
    expect(uneven.message).toContain("multiple of the page");
  });
  check("node service: the least gas price, and the heights that it has", async ({ query }) => {
    const service = "/cosmos.base.node.v1beta1.Service";
    const config = await query.queryAbci(`${service}/Config`, new Uint8Array());
    expect(ConfigResponse.decode(config.value).minimumGasPrice).toMatch(/^\d+\.\d{6}ukarat$/);
    const status = StatusResponse.decode((await query.queryAbci(`${service}/Status`, new Uint8Array())).value);
    expect(status.height).toBeGreaterThanOrEqual(status.earliestStoreHeight);
    expect(status.appHash).toHaveLength(32);
  });
};

/** auth and bank. */
export const accountChecks: Checks = (_, check) => {
  check("an account: address, number, sequence", async ({ direct, bob }) => {
    const account = await direct.getAccount(bob.address);
    expect(account).toMatchObject({ address: bob.address, pubkey: null, sequence: 0 });
    expect(account?.accountNumber).toBeGreaterThan(0n);
  });
  check("an account that is not there is null", async ({ direct }) =>
    expect(await direct.getAccount(nobody.address)).toBe(null),
  );
  check("sequence", async ({ direct, bob }) => expect((await direct.getSequence(bob.address)).sequence).toBe(0));
  check("sequence of an account that is not there", async ({ direct }) =>
    expect((await failureOf(direct.getSequence(nobody.address))).message).toContain("does not exist on chain"),
  );
  check("the public key is on chain after the first transaction", async ({ direct, alice, bob }) => {
    const { code } = await direct.signAndBroadcast(alice.address, [send(alice, bob, 1)], FEE);
    expect(code).toBe(0);
    const account = await direct.getAccount(alice.address);
    expect(account?.pubkey).toEqual({ type: "tendermint/PubKeySecp256k1", value: toBase64(alice.publicKey) });
    expect(account?.sequence).toBeGreaterThan(0);
  });
  check("auth extension: the account as Any", async ({ query, bob }) => {
    const any = await query.auth.account(bob.address);
    expect(any?.typeUrl).toBe("/cosmos.auth.v1beta1.BaseAccount");
  });
  check("balance", async ({ direct, ledger }) => {
    const { denom, amount } = await direct.getBalance(ledger.address, DENOM);
    expect(denom).toBe(DENOM);
    expect(BigInt(amount)).toBeGreaterThan(START_AMOUNT / 2n);
  });
  check("balance in a coin that does not exist", async ({ direct, bob }) =>
    expect(await direct.getBalance(bob.address, "uatom")).toEqual({ denom: "uatom", amount: "0" }),
  );
  check("balance of an account that is not there", async ({ direct }) =>
    expect(await direct.getBalance(nobody.address, DENOM)).toEqual({ denom: DENOM, amount: "0" }),
  );
  check("all balances", async ({ direct, bob }) => {
    const all = await direct.getAllBalances(bob.address);
    expect(all.map(({ denom }) => denom)).toEqual([DENOM]);
  });
  check("all balances of an account that is not there", async ({ direct }) =>
    expect(await direct.getAllBalances(nobody.address)).toEqual([]),
  );
  check("bank extension: total supply and supply of one coin agree", async ({ query }) => {
    const total = await query.bank.totalSupply();
    const of = await query.bank.supplyOf(DENOM);
    expect(total.supply.map(({ denom }) => denom)).toEqual([DENOM]);
    expect(BigInt(of.amount)).toBeGreaterThan(START_AMOUNT);
  });
  check("bank extension: metadata of the coin", async ({ query }) => {
    const metadata = await query.bank.denomMetadata(DENOM);
    expect(metadata.base).toBe(DENOM);
    expect(await query.bank.denomsMetadata()).toEqual([metadata]);
  });
  check("bank extension: metadata of another coin", async ({ query }) =>
    expect((await failureOf(query.bank.denomMetadata("uatom"))).message).toMatch(/Query failed with \(\d+\)/),
  );
};

/** The validator set in the words of staking. */
export const stakingChecks: Checks = (_, check) => {
  check("staking: bonded validators are those that sign", async ({ query, comet }) => {
    const { validators } = await query.staking.validators("BOND_STATUS_BONDED");
    const keys = validators.map(({ consensusPubkey }) => toBase64(PubKey.decode(consensusPubkey!.value).key));
    const signing = (await comet.validatorsAll()).validators.map(({ pubkey }) => toBase64(pubkey!.data));
    expect(keys.sort()).toEqual(signing.sort());
  });
  check("staking: one validator", async ({ query }) => {
    const { validators } = await query.staking.validators("");
    const { operatorAddress } = validators[0]!;
    expect(operatorAddress).toMatch(/^karatvaloper1/);
    expect((await query.staking.validator(operatorAddress)).validator).toEqual(validators[0]);
  });
  check("staking: a validator that is not there", async ({ query }) =>
    expect((await failureOf(query.staking.validator("karatvaloper1none"))).message).toContain("NotFound"),
  );
  check("staking: pool", async ({ query }) =>
    expect(BigInt((await query.staking.pool()).pool!.bondedTokens)).toBeGreaterThan(0n),
  );
  check("staking: parameters", async ({ query }) =>
    expect((await query.staking.params()).params?.bondDenom).toBe(DENOM),
  );
  check("staking: nobody delegates", async ({ direct, query, bob }) => {
    expect(await direct.getBalanceStaked(bob.address)).toBe(null);
    expect((await query.staking.delegatorDelegations(bob.address)).delegationResponses).toEqual([]);
    expect((await query.staking.delegatorUnbondingDelegations(bob.address)).unbondingResponses).toEqual([]);
  });
  check("staking: a delegation that is not there is null", async ({ direct, bob }) =>
    expect(await direct.getDelegation(bob.address, "karatvaloper1none")).toBe(null),
  );
};

/** Errors of queries. */
export const queryErrorChecks: Checks = (_, check) => {
  check("a query of an unknown path has code 6", async ({ query, comet }) => {
    const path = "/cosmos.nothing.v1.Query/Nothing";
    expect((await failureOf(query.queryAbci(path, new Uint8Array()))).message).toContain("Query failed with (6)");
    expect(await comet.abciQuery({ path, data: new Uint8Array() })).toMatchObject({ code: 6, codespace: "sdk" });
  });
  check("a query that is no message has a code", async ({ comet }) => {
    const answer = await comet.abciQuery({ path: "/cosmos.bank.v1beta1.Query/Balance", data: utf8("\xff\xff") });
    expect(answer.code).toBe(18);
  });
  check("a query at an earlier height sees the state of then", async (suite) => {
    const { direct, alice, bob, query } = suite;
    const { height } = await direct.signAndBroadcast(alice.address, [send(alice, bob, 3)], FEE);
    const { QueryBalanceRequest, QueryBalanceResponse } = await import("cosmjs-types/cosmos/bank/v1beta1/query");
    const request = QueryBalanceRequest.encode({ address: bob.address, denom: DENOM }).finish();
    const at = async (wanted: number) => {
      const answer = await query.queryAbci("/cosmos.bank.v1beta1.Query/Balance", request, wanted);
      expect(answer.height).toBe(wanted);
      return BigInt(QueryBalanceResponse.decode(answer.value).balance!.amount);
    };
    expect((await at(height)) - (await at(height - 1))).toBe(3n);
    expect(coins(await at(height))).toEqual([await direct.getBalance(bob.address, DENOM)]);
  });
  check("a query at a height to come is refused", async ({ query }) =>
    expect(
      (await failureOf(query.queryAbci("/cosmos.bank.v1beta1.Query/Params", new Uint8Array(), 9_999_999))).message,
    ).toContain("Query failed with (18)"),
  );
};

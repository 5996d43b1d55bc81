import { DENOM } from "@karat/common";
import { BaseAccount } from "cosmjs-types/cosmos/auth/v1beta1/auth";
import {
  QueryAccountRequest,
  QueryAccountResponse,
  QueryAccountsRequest,
  QueryAccountsResponse,
  QueryModuleAccountsRequest,
  QueryModuleAccountsResponse,
} from "cosmjs-types/cosmos/auth/v1beta1/query";
import {
  QueryAllBalancesRequest,
  QueryAllBalancesResponse,
  QueryBalanceRequest,
  QueryBalanceResponse,
  QueryDenomMetadataRequest,
  QueryDenomMetadataResponse,
  QuerySupplyOfRequest,
  QuerySupplyOfResponse,
  QueryTotalSupplyRequest,
  QueryTotalSupplyResponse,
} from "cosmjs-types/cosmos/bank/v1beta1/query";
import { SimulateRequest, SimulateResponse } from "cosmjs-types/cosmos/tx/v1beta1/service";
import { AuthInfo, TxRaw } from "cosmjs-types/cosmos/tx/v1beta1/tx";
import { describe, expect, test } from "vitest";
import { requireAddress } from "../modules/auth/index.ts";
import { accounts } from "../modules/auth/keys.ts";
import { MODULE_ACCOUNTS } from "./compose.ts";
import { SDK } from "./errors.ts";
import { AppHarness, coreComposition, type Signer, sendMessage, signerOf } from "./testing/index.ts";

const harness = new AppHarness({ clients: 2, composition: coreComposition() });
const [a, b] = harness.clients as [Signer, Signer];
const ask = (path: string, data: Uint8Array = new Uint8Array(), more: { height?: bigint; prove?: boolean } = {}) =>
  harness.app.query({ path, data, height: more.height ?? 0n, prove: more.prove ?? false });

describe("queries", () => {
  test("answer with the height they were answered at", () => {
    const data = QueryBalanceRequest.encode({ address: a.address, denom: DENOM }).finish();
    const answer = ask("/cosmos.bank.v1beta1.Query/Balance", data);
    expect(answer).toMatchObject({ code: 0, height: harness.height });
    expect(QueryBalanceResponse.decode(answer.value).balance).toEqual({ denom: DENOM, amount: "1000000000" });
  });

  test("of an unknown path have code 6", () => {
    expect(ask("/cosmos.gov.v1.Query/Proposals")).toMatchObject({ codespace: "sdk", code: SDK.unknownRequest.code });
  });

  test("of an earlier height see the state of then, as long as it is kept", () => {
    const data = QueryBalanceRequest.encode({ address: b.address, denom: DENOM }).finish();
    const { height } = harness;
    harness.execute(a, sendMessage(a, b, 1n));
    const amountAt = (at: bigint) => {
      const answer = ask("/cosmos.bank.v1beta1.Query/Balance", data, { height: at });
      expect(answer).toMatchObject({ code: 0, height: at });
      return QueryBalanceResponse.decode(answer.value).balance?.amount;
    };
    expect([amountAt(height), amountAt(height + 1n)]).toEqual(["1000000000", "1000000001"]);
    expect(ask("/cosmos.bank.v1beta1.Query/Balance", data, { height: 999n }).code).toBe(SDK.invalidRequest.code);
    const key = accounts.keyOf(requireAddress(a.address));
    const sequenceAt = (at: bigint) => BaseAccount.decode(ask("/store/auth/key", key, { height: at }).value).sequence;
    expect(sequenceAt(height + 1n) - sequenceAt(height)).toBe(1n);
    expect(ask("/store/auth/key", key, { height: 999n }).code).toBe(SDK.invalidRequest.code);
  });

  test("by key can be proven", () => {
    const key = accounts.keyOf(requireAddress(a.address));
    const { code, value, proofOps } = ask("/store/auth/key", key, { prove: true });
    expect(code).toBe(0);
    expect(value).toEqual(ask("/store/auth/key", key).value);
    expect(proofOps?.ops.map(({ type }) => type)).toEqual(["ics23:iavl", "ics23:simple"]);
    // A journaled store does not prove absence, and says so.
    expect(ask("/store/inference/key", key)).toMatchObject({ code: 0, value: new Uint8Array() });
    expect(ask("/store/inference/key", key, { prove: true }).code).toBe(SDK.invalidRequest.code);
    expect(ask("/store/nothing/key", key).code).toBe(SDK.unknownRequest.code);
    expect(ask("/cosmos.bank.v1beta1.Query/Params", key, { prove: true }).code).toBe(SDK.invalidRequest.code);
  });

  test("of garbage do not stop the node", () => {
    for (const path of ["/cosmos.auth.v1beta1.Query/Account", "/cosmos.tx.v1beta1.Service/Simulate"]) {
      expect(ask(path, new Uint8Array(50).fill(0xff)).code).not.toBe(0);
    }
  });

  test("for an account that does not exist give CosmJS its sign", () => {
    const data = QueryAccountRequest.encode({ address: signerOf("nobody").address }).finish();
    const { code, log } = ask("/cosmos.auth.v1beta1.Query/Account", data);
    expect(code).toBe(SDK.keyNotFound.code);
    expect(log).toMatch(/rpc error: code = NotFound/i);
  });

  test("page through accounts by key", () => {
    const seen: string[] = [];
    let key: Uint8Array = new Uint8Array();
    do {
      const request = QueryAccountsRequest.fromPartial({ pagination: { key, limit: 2n } });
      const page = harness.query(
        "/cosmos.auth.v1beta1.Query/Accounts",
        QueryAccountsRequest,
        QueryAccountsResponse,
        request,
      );
      expect(page.accounts.length).toBeLessThanOrEqual(2);
      seen.push(...page.accounts.map(({ value }) => BaseAccount.decode(value).address));
      key = page.pagination!.nextKey;
    } while (key.length > 0);
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen).toContain(a.address);
    expect(seen).toContain(harness.rich.address);
  });

  test("know the account with its key and sequence after its first transaction", () => {
    harness.execute(a, sendMessage(a, b, 1n));
    const path = "/cosmos.auth.v1beta1.Query/Account";
    const { account } = harness.query(path, QueryAccountRequest, QueryAccountResponse, { address: a.address });
    const { sequence, pubKey } = BaseAccount.decode(account!.value);
    expect(sequence).toBe(harness.account(a.address)!.sequence);
    expect(pubKey?.typeUrl).toBe("/cosmos.crypto.secp256k1.PubKey");
  });

  test("show supply, balances, metadata and module accounts", () => {
    const bank = "/cosmos.bank.v1beta1.Query";
    const all = { address: b.address, resolveDenom: false };
    const balances = harness.query(
      `${bank}/AllBalances`,
      QueryAllBalancesRequest,
      QueryAllBalancesResponse,
      all,
    ).balances;
    expect(balances).toEqual([{ denom: DENOM, amount: "1000000002" }]);
    const { supply } = harness.query(`${bank}/TotalSupply`, QueryTotalSupplyRequest, QueryTotalSupplyResponse, {});
    const of = { denom: DENOM };
    const { amount } = harness.query(`${bank}/SupplyOf`, QuerySupplyOfRequest, QuerySupplyOfResponse, of);
    expect(supply).toEqual([amount]);
    expect(amount.amount).toBe("1002000000000");
    const { metadata } = harness.query(
      `${bank}/DenomMetadata`,
      QueryDenomMetadataRequest,
      QueryDenomMetadataResponse,
      of,
    );
    expect(metadata.denomUnits.map(({ exponent }) => exponent)).toEqual([0, 6]);
    const path = "/cosmos.auth.v1beta1.Query/ModuleAccounts";
    const modules = harness.query(path, QueryModuleAccountsRequest, QueryModuleAccountsResponse, {});
    expect(modules.accounts.length).toBe(MODULE_ACCOUNTS.length);
  });
});

describe("simulation", () => {
  const simulate = (txBytes: Uint8Array) =>
    ask(
      "/cosmos.tx.v1beta1.Service/Simulate",
      SimulateRequest.encode(SimulateRequest.fromPartial({ txBytes })).finish(),
    );

  /** As CosmJS makes it: public key and sequence, no sign mode, one empty signature, no fee. */
  function unsigned(amount: bigint): Uint8Array {
    const { sequence } = harness.account(a.address)!;
    const raw = TxRaw.decode(harness.tx(a, sendMessage(a, b, amount), { sequence }));
    const { signerInfos } = AuthInfo.decode(raw.authInfoBytes);
    const authInfoBytes = AuthInfo.encode(
      AuthInfo.fromPartial({
        fee: {},
        signerInfos: signerInfos.map((info) => ({ ...info, modeInfo: { single: { mode: 0 } } })),
      }),
    ).finish();
    return TxRaw.encode({ ...raw, authInfoBytes, signatures: [new Uint8Array()] }).finish();
  }

  test("costs no less than the transaction will, though it has neither signature nor fee, and leaves nothing", () => {
    const before = harness.account(a.address);
    const { gasInfo, result } = SimulateResponse.decode(simulate(unsigned(5n)).value);
    expect(result?.msgResponses.map(({ typeUrl }) => typeUrl)).toEqual(["/cosmos.bank.v1beta1.MsgSendResponse"]);
    expect(harness.account(a.address)).toEqual(before);
    const { gasUsed } = harness.execute(a, sendMessage(a, b, 5n));
    expect(gasInfo!.gasUsed).toBeGreaterThanOrEqual(gasUsed);
    expect(gasInfo!.gasUsed).toBeLessThan((gasUsed * 12n) / 10n);
  });

  test("refuses what the messages refuse", () => {
    expect(simulate(unsigned(10_000_000_000n))).toMatchObject({ codespace: "sdk", code: SDK.insufficientFunds.code });
  });
});

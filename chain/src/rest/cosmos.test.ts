import { fromBech32, toBech32 } from "@cosmjs/encoding";
import { DENOM, moduleAddress, toBase64 } from "@karat/common";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { signerOf } from "../app/testing/index.ts";
import { LOCALNET_PARAMS } from "../modules/params/index.ts";
import { type Served, serve } from "./testing/served.ts";

let served: Served;
const ask: Served["ask"] = (path, headers) => served.ask(path, headers);

beforeAll(async () => {
  served = await serve();
});

afterAll(() => served.rest.stop());

const rich = signerOf("rich").address;
const DECIMAL = expect.stringMatching(/^\d+\.\d{18}$/);
const WHOLE_PAGE = { next_key: null, total: "1" };
const EMPTY_PAGE = { next_key: null, total: "0" };

describe("cosmos.auth", () => {
  test("an account with its type, its key opened, its numbers as text", async () => {
    const { status, body } = await ask(`/cosmos/auth/v1beta1/accounts/${rich}`);
    expect(status).toBe(200);
    expect(body).toEqual({
      account: {
        "@type": "/cosmos.auth.v1beta1.BaseAccount",
        address: rich,
        pub_key: { "@type": "/cosmos.crypto.secp256k1.PubKey", key: toBase64(served.chain.rich.publicKey) },
        account_number: expect.stringMatching(/^\d+$/),
        sequence: "1",
      },
    });
  });

  test("an account that has not signed yet has a key of null", async () => {
    const { body } = await ask(`/cosmos/auth/v1beta1/accounts/${served.chain.clients[1]!.address}`);
    expect(body.account).toMatchObject({ pub_key: null, sequence: "0" });
    const info = await ask(`/cosmos/auth/v1beta1/account_info/${served.chain.clients[1]!.address}`);
    expect(info.body.info).toMatchObject({ address: served.chain.clients[1]!.address, pub_key: null });
  });

  test("accounts page by page: every one of them once", async () => {
    const seen: string[] = [];
    let key: string | null = "";
    while (key !== null) {
      const next: string = key === "" ? "" : `&pagination.key=${encodeURIComponent(key)}`;
      const { status, body } = await ask(`/cosmos/auth/v1beta1/accounts?pagination.limit=4${next}`);
      expect(status).toBe(200);
      expect(body.accounts.length).toBeLessThanOrEqual(4);
      seen.push(...body.accounts.map(({ address }: { address: string }) => address));
      key = body.pagination.next_key;
    }
    expect(seen).toEqual(expect.arrayContaining([rich, served.chain.participants[2]!.node.address]));
    expect(new Set(seen).size).toBe(seen.length);
  });

  test("accounts of modules, parameters and the prefix", async () => {
    const { body } = await ask("/cosmos/auth/v1beta1/module_accounts");
    expect(body.accounts.map(({ name }: { name: string }) => name)).toContain("deposit");
    const one = await ask("/cosmos/auth/v1beta1/module_accounts/deposit");
    expect(one.body.account).toMatchObject({
      "@type": "/cosmos.auth.v1beta1.ModuleAccount",
      base_account: { address: moduleAddress("deposit") },
      permissions: [],
    });
    const params = await ask("/cosmos/auth/v1beta1/params");
    expect(params.body.params).toMatchObject({
      max_memo_characters: "256",
      sig_verify_cost_secp256k1: expect.any(String),
    });
    expect((await ask("/cosmos/auth/v1beta1/bech32")).body).toEqual({ bech32_prefix: "karat" });
  });
});

describe("cosmos.bank", () => {
  test("balances of an account, whole, spendable and of one denomination", async () => {
    const { address } = served.chain.clients[0]!;
    const coin = { denom: DENOM, amount: "1000000005" };
    for (const kind of ["balances", "spendable_balances"]) {
      const { body } = await ask(
        `/cosmos/bank/v1beta1/${kind}/${address}?pagination.limit=1000&pagination.count_total=true`,
      );
      expect(body).toEqual({ balances: [coin], pagination: WHOLE_PAGE });
      const one = await ask(`/cosmos/bank/v1beta1/${kind}/${address}/by_denom?denom=${DENOM}`);
      expect(one.body).toEqual({ balance: coin });
    }
    const nothing = await ask(`/cosmos/bank/v1beta1/balances/${signerOf("nobody").address}`);
    expect(nothing.body).toEqual({ balances: [], pagination: EMPTY_PAGE });
  });

  test("the supply, the coin's description, the parameters", async () => {
    const { body } = await ask("/cosmos/bank/v1beta1/supply");
    const supply = { denom: DENOM, amount: expect.stringMatching(/^\d{13,}$/) };
    expect(body).toEqual({ supply: [supply], pagination: WHOLE_PAGE });
    expect((await ask(`/cosmos/bank/v1beta1/supply/by_denom?denom=${DENOM}`)).body).toEqual({ amount: supply });
    const metadata = await ask("/cosmos/bank/v1beta1/denoms_metadata");
    expect(metadata.body.metadatas).toEqual([
      {
        description: expect.any(String),
        denom_units: [
          { denom: DENOM, exponent: 0, aliases: ["microkarat"] },
          { denom: "karat", exponent: 6, aliases: [] },
        ],
        base: DENOM,
        display: "karat",
        name: "Karat",
        symbol: "KARAT",
        uri: "",
        uri_hash: "",
      },
    ]);
    expect((await ask(`/cosmos/bank/v1beta1/denoms_metadata/${DENOM}`)).body.metadata.base).toBe(DENOM);
    expect((await ask("/cosmos/bank/v1beta1/denoms_metadata/uatom")).status).toBe(404);
    expect((await ask("/cosmos/bank/v1beta1/params")).body.params).toMatchObject({ default_send_enabled: true });
  });
});

describe("cosmos.slashing", () => {
  test("the parameters, in shares and seconds", async () => {
    const { body } = await ask("/cosmos/slashing/v1beta1/params");
    expect(body.params).toEqual({
      signed_blocks_window: LOCALNET_PARAMS.signedBlocksWindow.toString(),
      min_signed_per_window: "0.500000000000000000",
      downtime_jail_duration: `${LOCALNET_PARAMS.downtimeJailBlocks * 5n}s`,
      slash_fraction_double_sign: "0.200000000000000000",
      slash_fraction_downtime: "0.000100000000000000",
    });
  });
});

describe("cosmos.staking", () => {
  test("validators are the participants with a consensus key", async () => {
    const { body } = await ask("/cosmos/staking/v1beta1/validators?status=BOND_STATUS_BONDED&pagination.limit=300");
    expect(body.validators).toHaveLength(3);
    const operators = body.validators.map((validator: { operator_address: string }) =>
      toBech32("karat", fromBech32(validator.operator_address).data),
    );
    expect(operators).toEqual(
      expect.arrayContaining(served.chain.participants.map(({ operator }) => operator.address)),
    );
    expect(body.validators[0]).toMatchObject({
      consensus_pubkey: { "@type": "/cosmos.crypto.ed25519.PubKey", key: expect.any(String) },
      jailed: false,
      status: "BOND_STATUS_BONDED",
      tokens: "1000000000",
      delegator_shares: "1000000000.000000000000000000",
      unbonding_height: "0",
      unbonding_time: "1970-01-01T00:00:00Z",
      commission: { commission_rates: { rate: DECIMAL, max_rate: DECIMAL, max_change_rate: DECIMAL } },
    });
    const one = await ask(`/cosmos/staking/v1beta1/validators/${body.validators[1].operator_address}`);
    expect(one.body.validator).toEqual(body.validators[1]);
    const unbonded = await ask("/cosmos/staking/v1beta1/validators?status=BOND_STATUS_UNBONDED");
    expect(unbonded.body.validators).toEqual([]);
  });

  test("the pool and the parameters", async () => {
    const pool = await ask("/cosmos/staking/v1beta1/pool");
    expect(pool.body).toEqual({ pool: { bonded_tokens: "3000000000", not_bonded_tokens: "0" } });
    const { body } = await ask("/cosmos/staking/v1beta1/params");
    expect(body.params).toMatchObject({
      unbonding_time: expect.stringMatching(/^\d+s$/),
      bond_denom: DENOM,
      min_commission_rate: DECIMAL,
    });
  });
});

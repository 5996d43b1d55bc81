import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { QueryDenomsMetadataRequest, QueryDenomsMetadataResponse } from "cosmjs-types/cosmos/bank/v1beta1/query";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { buildGenesis } from "../app/genesis.ts";
import { AppHarness } from "../app/testing/index.ts";
import { writeHomeGenesis } from "../cli/home.ts";
import { DEFAULT_PARAMS } from "../modules/params/index.ts";
import { COIN } from "./coin.ts";
import { registry } from "./command.ts";
import { assetListJson, chainJson, suggestChainJson } from "./documents.ts";
import type { NetworkOptions } from "./options.ts";
import { assetListSchema, chainSchema, suggestChainSchema } from "./testing/registrySchema.ts";
import { faults } from "./testing/schema.ts";

const validators = [{ publicKey: new Uint8Array(32).fill(1), power: 1n }];
const genesis = buildGenesis({ chainId: "karat-devnet-2", timeMs: 0, validators });

const NODE_ID = "ab".repeat(20);
const network: NetworkOptions = {
  prettyName: "Karat Devnet",
  networkType: "devnet",
  rpc: ["https://rpc.karat.example", "http://127.0.0.1:26657"],
  rest: ["https://rest.karat.example"],
  peers: [`${NODE_ID}@peer.karat.example:26656`],
  genesisUrl: "https://karat.example/genesis.json",
  website: "https://karat.example",
  gitRepo: "https://git.karat.example/karat",
};
const bare: NetworkOptions = { prettyName: "K", networkType: "mainnet", rpc: [], rest: [], peers: [] };

describe("chain.json", () => {
  test("fits the registry's schema, with everything and with nothing given", () => {
    for (const options of [network, bare]) expect(faults(chainJson(genesis, options), chainSchema)).toEqual([]);
  });

  test("says how the chain is reached and paid", () => {
    expect(chainJson(genesis, network)).toMatchObject({
      chain_name: "karatdevnet",
      chain_id: "karat-devnet-2",
      bech32_prefix: "karat",
      slip44: 118,
      fees: {
        fee_tokens: [
          {
            denom: "ukarat",
            fixed_min_gas_price: 0.025,
            low_gas_price: 0.025,
            average_gas_price: 0.03,
            high_gas_price: 0.04,
          },
        ],
      },
      staking: { lock_duration: { blocks: Number(DEFAULT_PARAMS.unbondingBlocks) } },
      peers: { persistent_peers: [{ id: NODE_ID, address: "peer.karat.example:26656" }] },
      apis: { rpc: [{ address: "https://rpc.karat.example" }, { address: "http://127.0.0.1:26657" }] },
    });
  });

  test("has the genesis' own prices, zero too", () => {
    const params = { minGasPriceMicros: 0n, unbondingBlocks: 77_777n };
    const free = buildGenesis({ chainId: "karat-1", timeMs: 0, validators, params });
    expect(chainJson(free, network)).toMatchObject({
      fees: { fee_tokens: [{ fixed_min_gas_price: 0, high_gas_price: 0 }] },
      staking: { lock_duration: { blocks: 77_777 } },
    });
    const snake = { ...free, app_state: { params: { params: { min_gas_price_micros: "7", unbonding_blocks: "8" } } } };
    expect(chainJson(snake, network)).toMatchObject({
      fees: { fee_tokens: [{ fixed_min_gas_price: 0.000007 }] },
      staking: { lock_duration: { blocks: 8 } },
    });
  });

  test.each([
    ["an address without a host", { ...network, rest: ["http:// :8000/chain-api/"] }],
    ["an address of another protocol", { ...network, rpc: ["tcp://127.0.0.1:26657"] }],
    ["a peer without an id", { ...network, peers: ["peer.karat.example:26656"] }],
    ["a name with a dash", { ...network, chainName: "karat-devnet" }],
  ])("refuses %s", (_, options) => {
    expect(() => chainJson(genesis, options)).toThrow(expect.objectContaining({ code: "bad_registry" }));
  });

  test("refuses a genesis whose parameters cannot be read", () => {
    const broken = { ...genesis, app_state: { params: { params: { minGasPriceMicros: "cheap" } } } };
    expect(() => chainJson(broken, network)).toThrow(expect.objectContaining({ code: "bad_registry" }));
  });
});

describe("assetlist.json", () => {
  test("fits the registry's schema", () => {
    for (const options of [network, bare]) expect(faults(assetListJson(genesis, options), assetListSchema)).toEqual([]);
  });

  test("describes the coin as the chain itself does", () => {
    const { metadatas } = new AppHarness().query(
      "/cosmos.bank.v1beta1.Query/DenomsMetadata",
      QueryDenomsMetadataRequest,
      QueryDenomsMetadataResponse,
      QueryDenomsMetadataRequest.fromPartial({}),
    );
    const { base, display, name, symbol, description } = COIN;
    expect(metadatas).toMatchObject([{ base, display, name, symbol, description }]);
    expect(metadatas[0]!.denomUnits).toEqual([
      { denom: COIN.base, exponent: 0, aliases: [COIN.alias] },
      { denom: COIN.display, exponent: COIN.decimals, aliases: [] },
    ]);
  });
});

describe("suggest-chain.json", () => {
  test("is what Keplr takes", () => {
    const suggestion = suggestChainJson(genesis, network);
    expect(faults(suggestion, suggestChainSchema)).toEqual([]);
    expect(suggestion).toMatchObject({
      rpc: "https://rpc.karat.example",
      feeCurrencies: [{ coinMinimalDenom: "ukarat", gasPriceStep: { low: 0.025, average: 0.03, high: 0.04 } }],
    });
  });

  test("is none without endpoints", () => {
    expect(suggestChainJson(genesis, bare)).toBeUndefined();
  });
});

test("the check finds what is missing, unknown and of the wrong kind", () => {
  const chain = chainJson(genesis, network);
  const { chain_name: _, ...unnamed } = chain;
  expect(faults({ ...unnamed, slip44: "118", port: 1, peers: { seeds: [{ id: "x" }] } }, chainSchema)).toEqual([
    "$.chain_name is missing",
    "$.slip44 is no number",
    "$.peers.seeds[0].address is missing",
    "$.port is unknown",
  ]);
});

describe("the command", () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "karat-registry-"));
    vi.spyOn(process.stdout, "write").mockReturnValue(true);
  });
  afterEach(() => {
    vi.restoreAllMocks();
    rmSync(dir, { recursive: true });
  });

  const read = (name: string): unknown => JSON.parse(readFileSync(join(dir, "out", name), "utf8"));

  test("writes the documents of a home's chain", async () => {
    await writeHomeGenesis(join(dir, "home"), genesis);
    const places = ["--home", join(dir, "home"), "--out", join(dir, "out")];
    await registry([...places, "--pretty-name", "Karat Devnet"]);
    expect(readdirSync(join(dir, "out")).sort()).toEqual(["assetlist.json", "chain.json"]);

    const { rpc, rest, peers, genesisUrl, website, gitRepo } = network;
    const reached = ["--rpc", rpc.join(","), "--rest", rest.join(","), "--peers", peers.join(",")];
    const more = ["--genesis-url", genesisUrl!, "--website", website!, "--git-repo", gitRepo!];
    await registry([...places, "--pretty-name", "Karat Devnet", ...reached, ...more]);
    expect(read("chain.json")).toEqual(chainJson(genesis, network));
    expect(read("assetlist.json")).toEqual(assetListJson(genesis, network));
    expect(read("suggest-chain.json")).toEqual(suggestChainJson(genesis, network));
  });

  test("refuses a home without a genesis, and a network of no kind", async () => {
    const places = ["--home", join(dir, "home"), "--out", join(dir, "out")];
    await expect(registry(places)).rejects.toMatchObject({ code: "home_missing" });
    await writeHomeGenesis(join(dir, "home"), genesis);
    await expect(registry([...places, "--network-type", "moon"])).rejects.toMatchObject({ code: "usage" });
  });
});

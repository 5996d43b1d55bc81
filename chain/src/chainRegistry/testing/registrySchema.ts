/**
 * What the chain registry's chain.schema.json and assetlist.schema.json ask for, in the parts that Karat writes. Written by
 * hand after github.com/cosmos/chain-registry (chain.schema.json at 040cb2d5, assetlist.schema.json at 02e7193c).
 */
import { listOf, matching, number, object, text, url, words } from "./schema.ts";

const endpoint = object({ address: url, provider: text }, "address");
const peer = object({ id: text, address: text, provider: text }, "id", "address");
const version = matching(/^v?\d+(\.\d+){0,2}$/);
const feeToken = object(
  {
    denom: text,
    fixed_min_gas_price: number,
    low_gas_price: number,
    average_gas_price: number,
    high_gas_price: number,
    gas_costs: object({ cosmos_send: number, ibc_transfer: number }),
  },
  "denom",
);

const prefixes = {
  bech32PrefixAccAddr: text,
  bech32PrefixAccPub: text,
  bech32PrefixValAddr: text,
  bech32PrefixValPub: text,
  bech32PrefixConsAddr: text,
  bech32PrefixConsPub: text,
};

export const chainSchema = object(
  {
    $schema: matching(/^(\.\.\/)+chain\.schema\.json$/),
    chain_name: matching(/^[a-z0-9]+$/),
    chain_type: words("cosmos"),
    chain_id: text,
    pretty_name: text,
    website: url,
    status: words("live", "upcoming", "killed"),
    network_type: words("mainnet", "testnet", "devnet"),
    bech32_prefix: text,
    bech32_config: object(prefixes),
    key_algos: listOf(words("secp256k1", "ethsecp256k1", "ed25519", "sr25519", "bn254")),
    slip44: number,
    fees: object({ fee_tokens: listOf(feeToken) }, "fee_tokens"),
    staking: object(
      {
        staking_tokens: listOf(object({ denom: text }, "denom")),
        lock_duration: object({ blocks: number, time: text }),
      },
      "staking_tokens",
    ),
    codebase: object({
      git_repo: url,
      language: object({ type: words("go", "rust", "solidity", "other"), version }, "type"),
      sdk: object({ type: words("cosmos", "penumbra", "other"), version }, "type"),
      consensus: object({ type: words("tendermint", "cometbft", "sei-tendermint"), version }, "type"),
      genesis: object({ name: text, genesis_url: url }, "genesis_url"),
    }),
    peers: object({ seeds: listOf(peer), persistent_peers: listOf(peer) }),
    apis: object({ rpc: listOf(endpoint), rest: listOf(endpoint), grpc: listOf(endpoint), wss: listOf(endpoint) }),
  },
  "chain_name",
  "chain_type",
);

export const assetListSchema = object(
  {
    $schema: matching(/^(\.\.\/)+assetlist\.schema\.json$/),
    chain_name: text,
    assets: listOf(
      object(
        {
          description: text,
          type_asset: words("sdk.coin"),
          denom_units: listOf(
            object(
              { denom: text, exponent: { kind: "number", whole: true }, aliases: listOf(text, 1) },
              "denom",
              "exponent",
            ),
            1,
          ),
          base: text,
          display: text,
          name: matching(/^.{1,30}$/),
          symbol: text,
        },
        "denom_units",
        "base",
        "display",
        "name",
        "symbol",
      ),
      1,
    ),
  },
  "chain_name",
  "assets",
);

const currency = { coinDenom: text, coinMinimalDenom: text, coinDecimals: number };

/** Keplr's ChainInfo: all six prefixes must be there. */
export const suggestChainSchema = object(
  {
    chainId: text,
    chainName: text,
    rpc: url,
    rest: url,
    bip44: object({ coinType: number }, "coinType"),
    bech32Config: object(prefixes, ...Object.keys(prefixes)),
    currencies: listOf(object(currency, ...Object.keys(currency)), 1),
    feeCurrencies: listOf(
      object(
        { ...currency, gasPriceStep: object({ low: number, average: number, high: number }, "low", "average", "high") },
        ...Object.keys(currency),
      ),
      1,
    ),
    stakeCurrency: object(currency, ...Object.keys(currency)),
    features: listOf(text),
  },
  "chainId",
  "chainName",
  "rpc",
  "rest",
  "bip44",
  "bech32Config",
  "currencies",
  "feeCurrencies",
);

/** The documents by which wallets and explorers learn of a chain, from its genesis and where it is reached. */
import type { GenesisJson } from "../engine/index.ts";
import { BECH32, COIN, COIN_TYPE } from "./coin.ts";
import { chainFacts } from "./facts.ts";
import { chainNameOf, checkUrl, type NetworkOptions, parsePeer } from "./options.ts";

/** Release of CometBFT that the engine speaks for. */
const COMETBFT = "0.38";

/** `chain.json` of the chain registry. Throws `bad_registry`. */
export function chainJson(genesis: GenesisJson, options: NetworkOptions): Record<string, unknown> {
  const { chainId, gasPrice, unbondingBlocks } = chainFacts(genesis);
  const endpoints = (urls: readonly string[]) => urls.map((url) => ({ address: checkUrl(url) }));
  return {
    $schema: options.networkType === "mainnet" ? "../chain.schema.json" : "../../chain.schema.json",
    chain_name: chainNameOf(chainId, options.chainName),
    chain_type: "cosmos",
    chain_id: chainId,
    pretty_name: options.prettyName,
    ...(options.website !== undefined && { website: checkUrl(options.website) }),
    status: "live",
    network_type: options.networkType,
    bech32_prefix: BECH32.bech32PrefixAccAddr,
    bech32_config: BECH32,
    key_algos: ["secp256k1"],
    slip44: COIN_TYPE,
    fees: {
      fee_tokens: [
        {
          denom: COIN.base,
          fixed_min_gas_price: gasPrice.low,
          low_gas_price: gasPrice.low,
          average_gas_price: gasPrice.average,
          high_gas_price: gasPrice.high,
        },
      ],
    },
    staking: { staking_tokens: [{ denom: COIN.base }], lock_duration: { blocks: unbondingBlocks } },
    codebase: {
      ...(options.gitRepo !== undefined && { git_repo: checkUrl(options.gitRepo) }),
      language: { type: "other" },
      sdk: { type: "other" },
      consensus: { type: "cometbft", version: COMETBFT },
      ...(options.genesisUrl !== undefined && { genesis: { genesis_url: checkUrl(options.genesisUrl) } }),
    },
    peers: { persistent_peers: options.peers.map(parsePeer) },
    apis: { rpc: endpoints(options.rpc), rest: endpoints(options.rest) },
  };
}

/** `assetlist.json` of the chain registry. Throws `bad_registry`. */
export function assetListJson(genesis: GenesisJson, options: NetworkOptions): Record<string, unknown> {
  return {
    $schema: options.networkType === "mainnet" ? "../assetlist.schema.json" : "../../assetlist.schema.json",
    chain_name: chainNameOf(genesis.chain_id, options.chainName),
    assets: [
      {
        description: COIN.description,
        type_asset: "sdk.coin",
        denom_units: [
          { denom: COIN.base, exponent: 0, aliases: [COIN.alias] },
          { denom: COIN.display, exponent: COIN.decimals },
        ],
        base: COIN.base,
        display: COIN.display,
        name: COIN.name,
        symbol: COIN.symbol,
      },
    ],
  };
}

/** What `keplr.experimentalSuggestChain` takes; Leap takes the same. Undefined without an RPC and a REST endpoint. */
export function suggestChainJson(genesis: GenesisJson, options: NetworkOptions): Record<string, unknown> | undefined {
  const [rpc, rest] = [options.rpc[0], options.rest[0]];
  if (rpc === undefined || rest === undefined) return undefined;
  const { chainId, gasPrice } = chainFacts(genesis);
  const currency = { coinDenom: COIN.symbol, coinMinimalDenom: COIN.base, coinDecimals: COIN.decimals };
  return {
    chainId,
    chainName: options.prettyName,
    rpc: checkUrl(rpc),
    rest: checkUrl(rest),
    bip44: { coinType: COIN_TYPE },
    bech32Config: BECH32,
    currencies: [currency],
    feeCurrencies: [{ ...currency, gasPriceStep: gasPrice }],
    stakeCurrency: currency,
    features: [],
  };
}

import { KaratError } from "@karat/common";
import { params } from "@karat/proto";
import type { GenesisJson } from "../engine/index.ts";
import { DEFAULT_PARAMS } from "../modules/params/index.ts";

/** What wallets must know of a chain, as its genesis has it. */
export interface ChainFacts {
  readonly chainId: string;
  /** In ukarat per gas. */
  readonly gasPrice: { readonly low: number; readonly average: number; readonly high: number };
  /** Blocks until collateral is free. */
  readonly unbondingBlocks: number;
}

/** Multiples of the smallest price, in millionths, that wallets offer for a place earlier in the mempool. */
const AVERAGE = 1_200_000n;
const HIGH = 1_600_000n;
const MILLION = 1_000_000n;

/** Throws `bad_registry` where the parameters of the genesis are not readable. */
export function chainFacts(genesis: GenesisJson): ChainFacts {
  const { minGasPriceMicros: low, unbondingBlocks } = genesisParams(genesis);
  const price = (factor: bigint) => Number((low * factor) / MILLION) / 1e6;
  return {
    chainId: genesis.chain_id,
    gasPrice: { low: price(MILLION), average: price(AVERAGE), high: price(HIGH) },
    unbondingBlocks: Number(unbondingBlocks),
  };
}

/** Those that the genesis states, by either spelling, and the defaults of the others. */
function genesisParams({
  app_state: state,
}: GenesisJson): Pick<params.Params, "minGasPriceMicros" | "unbondingBlocks"> {
  const stated = (state as { params?: { params?: Record<string, unknown> } } | undefined)?.params?.params ?? {};
  try {
    const { minGasPriceMicros, unbondingBlocks } = params.Params.fromJSON(stated);
    const states = (camel: string, snake: string) => camel in stated || snake in stated;
    return {
      minGasPriceMicros: states("minGasPriceMicros", "min_gas_price_micros")
        ? minGasPriceMicros
        : DEFAULT_PARAMS.minGasPriceMicros,
      unbondingBlocks: states("unbondingBlocks", "unbonding_blocks") ? unbondingBlocks : DEFAULT_PARAMS.unbondingBlocks,
    };
  } catch (error) {
    throw new KaratError("bad_registry", "the genesis has unreadable parameters", {}, error);
  }
}

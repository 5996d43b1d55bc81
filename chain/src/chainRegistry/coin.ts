import { ADDRESS_PREFIX, DENOM } from "@karat/common";

/** The coin as wallets show it. The chain says the same in its bank's metadata. */
export const COIN = {
  base: DENOM,
  alias: "microkarat",
  display: "karat",
  decimals: 6,
  name: "Karat",
  symbol: "KARAT",
  description: "The coin of the Karat network",
} as const;

/** The derivation path of Cosmos chains (BIP-44); Karat has registered none of its own. */
export const COIN_TYPE = 118;

export const BECH32 = {
  bech32PrefixAccAddr: ADDRESS_PREFIX,
  bech32PrefixAccPub: `${ADDRESS_PREFIX}pub`,
  bech32PrefixValAddr: `${ADDRESS_PREFIX}valoper`,
  bech32PrefixValPub: `${ADDRESS_PREFIX}valoperpub`,
  bech32PrefixConsAddr: `${ADDRESS_PREFIX}valcons`,
  bech32PrefixConsPub: `${ADDRESS_PREFIX}valconspub`,
};

import { DENOM } from "@karat/common";
import type { Coin } from "cosmjs-types/cosmos/base/v1beta1/coin";
import { ChainError, SDK } from "../../app/errors.ts";
import { isU64 } from "../../numeric/checked.ts";

const DENOM_PATTERN = /^[a-zA-Z][a-zA-Z0-9/:._-]{2,127}$/;

/**
 * The amount of ukarat in a list of coins as the SDK wants it: sorted by denom, no denom twice, all positive.
 * Throws `invalid_coins`; coins of another denom, of which nobody has any, throw `insufficient_funds`.
 */
export function ukaratOf(coins: readonly Coin[]): bigint {
  if (coins.length === 0 || coins.length > 8) throw new ChainError(SDK.invalidCoins, "between one and eight coins");
  let previous = "";
  for (const { denom, amount } of coins) {
    if (!DENOM_PATTERN.test(denom)) throw new ChainError(SDK.invalidCoins, "a denom is malformed");
    if (previous >= denom) throw new ChainError(SDK.invalidCoins, "coins are sorted by denom, each once");
    if (!/^[1-9]\d{0,19}$/.test(amount) || !isU64(BigInt(amount))) {
      throw new ChainError(SDK.invalidCoins, "an amount is a positive decimal number of at most 64 bits");
    }
    previous = denom;
  }
  const foreign = coins.find(({ denom }) => denom !== DENOM);
  if (foreign !== undefined) {
    throw new ChainError(
      SDK.insufficientFunds,
      `spendable balance 0${foreign.denom} is smaller than ${foreign.amount}${foreign.denom}: insufficient funds`,
    );
  }
  return BigInt(coins[0]!.amount);
}

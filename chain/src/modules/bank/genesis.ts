import { DENOM } from "@karat/common";
import { ChainError, isChainError, SDK } from "../../app/errors.ts";
import type { Context } from "../../app/module.ts";
import { requireAddress } from "../auth/index.ts";
import { bech32Of } from "./address.ts";
import type { Bank } from "./keeper.ts";
import { balances, STORE } from "./keys.ts";
import { ukaratOf } from "./transition.ts";

export interface BankGenesis {
  readonly balances?: readonly {
    readonly address: string;
    readonly coins: readonly { readonly denom: string; readonly amount: string }[];
  }[];
}

/** Mints every balance. Throws `invalid_genesis`. */
export function initBankGenesis(ctx: Context, bank: Bank, state: BankGenesis): void {
  for (const { address, coins } of state.balances ?? []) {
    try {
      requireAddress(address);
      if (bank.balance(ctx, address) !== 0n) throw new ChainError(SDK.invalidGenesis, "the address comes twice");
      bank.mint(ctx, address, ukaratOf(coins));
    } catch (error) {
      if (!isChainError(error)) throw error;
      throw new ChainError(SDK.invalidGenesis, `bank: balance of ${address}: ${error.message}`);
    }
  }
}

/** All balances, those of modules too: their genesis mints only what is missing. */
export function exportBankGenesis(ctx: Context): BankGenesis {
  return {
    balances: Array.from(balances.entries(ctx.store(STORE)), ([key, amount]) => ({
      address: bech32Of(key),
      coins: [{ denom: DENOM, amount: amount.toString() }],
    })),
  };
}

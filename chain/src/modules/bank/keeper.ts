import { DENOM } from "@karat/common";
import { ChainError, SDK } from "../../app/errors.ts";
import type { Context } from "../../app/module.ts";
import { addU64, checkU64, subU64 } from "../../numeric/checked.ts";
import { requireAddress } from "../auth/index.ts";
import type { Accounts } from "./expects.ts";
import { balances, STORE, supply } from "./keys.ts";

/** Money, in ukarat. Amounts of zero are no-ops without an event. */
export interface Bank {
  balance(ctx: Context, address: string): bigint;
  /** Throws `insufficient_funds`, `invalid_address`. Creates the recipient's account. */
  send(ctx: Context, from: string, to: string, amount: bigint): void;
  mint(ctx: Context, to: string, amount: bigint): void;
  /** Throws `insufficient_funds`. */
  burn(ctx: Context, from: string, amount: bigint): void;
  supply(ctx: Context): bigint;
}

export function createBankKeeper(accounts: Accounts): Bank {
  function take(ctx: Context, from: string, amount: bigint): void {
    const key = requireAddress(from);
    const store = ctx.store(STORE);
    const has = balances.get(store, key) ?? 0n;
    if (has < amount) {
      throw new ChainError(
        SDK.insufficientFunds,
        `spendable balance ${has}${DENOM} is smaller than ${amount}${DENOM}: insufficient funds`,
      );
    }
    if (has === amount) balances.delete(store, key);
    else balances.set(store, key, has - amount);
    ctx.emit("coin_spent", { spender: from, amount: `${amount}${DENOM}` });
  }

  function give(ctx: Context, to: string, amount: bigint): void {
    const key = requireAddress(to);
    const store = ctx.store(STORE);
    accounts.ensure(ctx, to);
    balances.set(store, key, addU64(balances.get(store, key) ?? 0n, amount));
    ctx.emit("coin_received", { receiver: to, amount: `${amount}${DENOM}` });
  }

  return {
    balance: (ctx, address) => balances.get(ctx.store(STORE), requireAddress(address)) ?? 0n,
    supply: (ctx) => supply.get(ctx.store(STORE)) ?? 0n,

    send(ctx, from, to, amount) {
      if (checkU64(amount) === 0n) return;
      take(ctx, from, amount);
      give(ctx, to, amount);
      ctx.emit("transfer", { recipient: to, sender: from, amount: `${amount}${DENOM}` });
    },

    mint(ctx, to, amount) {
      if (checkU64(amount) === 0n) return;
      const store = ctx.store(STORE);
      supply.set(store, addU64(supply.get(store) ?? 0n, amount));
      give(ctx, to, amount);
      ctx.emit("coinbase", { minter: to, amount: `${amount}${DENOM}` });
    },

    burn(ctx, from, amount) {
      if (checkU64(amount) === 0n) return;
      const store = ctx.store(STORE);
      take(ctx, from, amount);
      supply.set(store, subU64(supply.get(store) ?? 0n, amount));
      ctx.emit("burn", { burner: from, amount: `${amount}${DENOM}` });
    },
  };
}

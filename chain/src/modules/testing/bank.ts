import { ChainError, SDK } from "../../app/errors.ts";
import type { Context } from "../../app/module.ts";
import { Item, Table, text, u64 } from "../../store/collections.ts";

const balances = new Table<string, bigint>(0x01, text, u64);
const total = new Item<bigint>(0x02, u64);
const STORE = "bank";

/** A bank of one denomination in the store `bank`, so that it is rolled back with everything else. */
export const memoryBank = {
  balance: (ctx: Context, address: string): bigint => balances.get(ctx.store(STORE), address) ?? 0n,
  supply: (ctx: Context): bigint => total.get(ctx.store(STORE)) ?? 0n,

  send(ctx: Context, from: string, to: string, amount: bigint): void {
    const held = memoryBank.balance(ctx, from);
    if (held < amount) throw new ChainError(SDK.insufficientFunds, `${from} holds ${held}ukarat, not ${amount}`);
    balances.set(ctx.store(STORE), from, held - amount);
    balances.set(ctx.store(STORE), to, memoryBank.balance(ctx, to) + amount);
  },

  mint(ctx: Context, to: string, amount: bigint): void {
    balances.set(ctx.store(STORE), to, memoryBank.balance(ctx, to) + amount);
    total.set(ctx.store(STORE), memoryBank.supply(ctx) + amount);
  },

  burn(ctx: Context, from: string, amount: bigint): void {
    const held = memoryBank.balance(ctx, from);
    if (held < amount) throw new ChainError(SDK.insufficientFunds, `${from} holds ${held}ukarat, not ${amount}`);
    balances.set(ctx.store(STORE), from, held - amount);
    total.set(ctx.store(STORE), memoryBank.supply(ctx) - amount);
  },

  /** Sum of all balances: equal to the supply unless money was lost. */
  sum(ctx: Context): bigint {
    let sum = 0n;
    for (const [, amount] of balances.entries(ctx.store(STORE))) sum += amount;
    return sum;
  },
};

import type { deposit } from "@karat/proto";
import type { Context } from "../../app/module.ts";
import { addU64, subU64 } from "../../numeric/checked.ts";
import type { Bank } from "./expects.ts";
import { ACCOUNT, deposits, STORE, totalLocked } from "./keys.ts";
import { empty, isEmpty, lock, spend, unlock } from "./transition.ts";

export interface DepositKeeper {
  /** An unknown client has an empty deposit. */
  get(ctx: Context, client: string): deposit.Deposit;
  /** Throws ChainError `insufficient deposit`. */
  lock(ctx: Context, client: string, amount: bigint): void;
  /** Back to available. */
  unlock(ctx: Context, client: string, amount: bigint): void;
  /** Pays `to` out of what is locked: effect on the bank. */
  spend(ctx: Context, client: string, amount: bigint, to: string): void;
  /** Sum over all clients. */
  totalLocked(ctx: Context): bigint;
}

export function createDepositKeeper(bank: Bank): DepositKeeper {
  const keeper: DepositKeeper = {
    get: (ctx, client) => deposits.get(ctx.store(STORE), client) ?? empty(client),

    lock(ctx, client, amount) {
      put(ctx, lock(keeper.get(ctx, client), amount));
      totalLocked.set(ctx.store(STORE), addU64(keeper.totalLocked(ctx), amount));
    },

    unlock(ctx, client, amount) {
      put(ctx, unlock(keeper.get(ctx, client), amount));
      totalLocked.set(ctx.store(STORE), subU64(keeper.totalLocked(ctx), amount));
    },

    spend(ctx, client, amount, to) {
      put(ctx, spend(keeper.get(ctx, client), amount));
      totalLocked.set(ctx.store(STORE), subU64(keeper.totalLocked(ctx), amount));
      bank.send(ctx, ACCOUNT, to, amount);
    },

    totalLocked: (ctx) => totalLocked.get(ctx.store(STORE)) ?? 0n,
  };
  return keeper;
}

/** Writes a deposit, or deletes its row when nothing is in it. */
export function put(ctx: Context, value: deposit.Deposit): void {
  if (isEmpty(value)) deposits.delete(ctx.store(STORE), value.client);
  else deposits.set(ctx.store(STORE), value.client, value);
}

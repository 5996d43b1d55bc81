import type { deposit } from "@karat/proto";
import type { Context } from "../../app/module.ts";
import { addU64, subU64 } from "../../numeric/checked.ts";
import { type DepositKeeper, put } from "./keeper.ts";
import { STORE, totalLocked } from "./keys.ts";
import { lock, unlock } from "./transition.ts";

/**
 * What one message locks and unlocks: a deposit is read once, however many records it pays for, and written once, by `write`. Until
 * then nothing else may write deposits; nothing can, for only the inference module is given the keeper, and within a message it works
 * with this in its place. Fines and slashing take from collateral, which participants have.
 */
export class DepositsTogether {
  readonly #keeper: Pick<DepositKeeper, "get" | "totalLocked">;
  readonly #deposits = new Map<string, deposit.Deposit>();
  #total: bigint | undefined;

  constructor(keeper: Pick<DepositKeeper, "get" | "totalLocked">) {
    this.#keeper = keeper;
  }

  /** As of the keeper. */
  lock(ctx: Context, client: string, amount: bigint): void {
    this.#deposits.set(client, lock(this.#get(ctx, client), amount));
    this.#total = addU64(this.#locked(ctx), amount);
  }

  /** As of the keeper. */
  unlock(ctx: Context, client: string, amount: bigint): void {
    this.#deposits.set(client, unlock(this.#get(ctx, client), amount));
    this.#total = subU64(this.#locked(ctx), amount);
  }

  write(ctx: Context): void {
    for (const changed of this.#deposits.values()) put(ctx, changed);
    if (this.#total !== undefined) totalLocked.set(ctx.store(STORE), this.#total);
  }

  #get(ctx: Context, client: string): deposit.Deposit {
    return this.#deposits.get(client) ?? this.#keeper.get(ctx, client);
  }

  #locked(ctx: Context): bigint {
    return this.#total ?? this.#keeper.totalLocked(ctx);
  }
}

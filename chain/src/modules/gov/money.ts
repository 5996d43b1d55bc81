import { DENOM, moduleAddress } from "@karat/common";
import type { Coin } from "cosmjs-types/cosmos/base/v1beta1/coin";
import { ChainError, SDK } from "../../app/errors.ts";
import type { Context } from "../../app/module.ts";
import { GOV_ERRORS } from "./errors.ts";
import type { Bank } from "./expects.ts";
import { deposits, STORE } from "./keys.ts";

/** Holds all deposits. */
export const ACCOUNT = moduleAddress("gov");
const COMMUNITY = moduleAddress("community");
/** Most depositors of one proposal: giving back is one block's work. */
export const MAX_DEPOSITORS = 100;

/** The one amount in ukarat that coins of the wire may hold. Throws `invalid coins`. */
export function amountOf(coins: readonly Coin[]): bigint {
  const [coin, ...others] = coins;
  if (coin === undefined || others.length > 0 || coin.denom !== DENOM || !/^[1-9]\d{0,18}$/.test(coin.amount)) {
    throw new ChainError(SDK.invalidCoins, `a deposit is one positive amount of ${DENOM}: invalid coins`);
  }
  return BigInt(coin.amount);
}

export const coinsOf = (amount: bigint): Coin[] => (amount === 0n ? [] : [{ denom: DENOM, amount: amount.toString() }]);

/** In order of depositors. */
export function depositsOf(ctx: Context, id: bigint): [depositor: string, amount: bigint][] {
  const rows = deposits.entries(ctx.store(STORE), { from: [id, ""], limit: MAX_DEPOSITORS + 1 });
  return Array.from(rows)
    .filter(([[of]]) => of === id)
    .map(([[, depositor], amount]) => [depositor, amount]);
}

/** Takes a deposit into custody; more by the same depositor adds up. */
export function take(bank: Bank, ctx: Context, id: bigint, depositor: string, amount: bigint): void {
  const store = ctx.store(STORE);
  const before = deposits.get(store, [id, depositor]);
  if (before === undefined && depositsOf(ctx, id).length >= MAX_DEPOSITORS) {
    throw new ChainError(GOV_ERRORS.tooManyDepositors, `${MAX_DEPOSITORS} accounts have deposited for proposal ${id}`);
  }
  bank.send(ctx, depositor, ACCOUNT, amount);
  deposits.set(store, [id, depositor], (before ?? 0n) + amount);
}

/** Gives every depositor its own back, or everything to the community. */
export function release(bank: Bank, ctx: Context, id: bigint, to: "depositors" | "community"): void {
  for (const [depositor, amount] of depositsOf(ctx, id)) {
    bank.send(ctx, ACCOUNT, to === "community" ? COMMUNITY : depositor, amount);
    deposits.delete(ctx.store(STORE), [id, depositor]);
  }
}

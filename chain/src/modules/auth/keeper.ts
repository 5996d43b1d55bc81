import { addressBytes } from "@karat/common";
import { ChainError, SDK } from "../../app/errors.ts";
import type { Context } from "../../app/module.ts";
import { addU64 } from "../../numeric/checked.ts";
import { accounts, addressesByNumber, nextAccountNumber, STORE } from "./keys.ts";
import type { Account } from "./types.ts";

export interface Accounts {
  get(ctx: Context, address: string): Account | undefined;
  byNumber(ctx: Context, number: bigint): Account | undefined;
  /** The account; created with the next number where there is none. Throws `invalid_address`. */
  ensure(ctx: Context, address: string): Account;
  /** Replaces an account that exists. */
  set(ctx: Context, account: Account): void;
}

/** The 20 bytes of an address. Throws `invalid_address`. */
export function requireAddress(address: string): Uint8Array {
  const key = addressBytes(address);
  if (key === undefined) throw new ChainError(SDK.invalidAddress, `invalid address ${JSON.stringify(address)}`);
  return key;
}

export const accountKeeper: Accounts = {
  get(ctx, address) {
    return accounts.get(ctx.store(STORE), requireAddress(address));
  },

  byNumber(ctx, number) {
    const key = addressesByNumber.get(ctx.store(STORE), number);
    return key && accounts.get(ctx.store(STORE), key);
  },

  ensure(ctx, address) {
    const key = requireAddress(address);
    const store = ctx.store(STORE);
    const known = accounts.get(store, key);
    if (known !== undefined) return known;
    const accountNumber = nextAccountNumber.get(store) ?? 0n;
    const account: Account = { address, publicKey: undefined, accountNumber, sequence: 0n };
    nextAccountNumber.set(store, addU64(accountNumber, 1n));
    accounts.set(store, key, account);
    addressesByNumber.set(store, accountNumber, key);
    return account;
  },

  set(ctx, account) {
    accounts.set(ctx.store(STORE), requireAddress(account.address), account);
  },
};

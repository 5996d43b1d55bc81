import { compareBytes } from "@karat/rules";
import type { Context } from "../../app/module.ts";
import { accounts, addressesByNumber, nextAccountNumber, STORE } from "./keys.ts";

/** Account numbers are unique and below the counter. */
export function authInvariants(ctx: Context): string[] {
  const store = ctx.store(STORE);
  const next = nextAccountNumber.get(store) ?? 0n;
  const seen = new Set<bigint>();
  const broken: string[] = [];
  for (const [address, account] of accounts.entries(store)) {
    if (account.accountNumber >= next) broken.push(`auth/number-beyond-counter: ${account.address}`);
    if (seen.has(account.accountNumber)) broken.push(`auth/number-twice: ${account.accountNumber}`);
    seen.add(account.accountNumber);
    const named = addressesByNumber.get(store, account.accountNumber);
    if (named === undefined || compareBytes(named, address) !== 0) {
      broken.push(`auth/number-index: ${account.accountNumber}`);
    }
  }
  return broken;
}

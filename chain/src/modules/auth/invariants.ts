import type { Context } from "../../app/module.ts";
import { accounts, nextAccountNumber, STORE } from "./keys.ts";

/** Account numbers are unique and below the counter. */
export function authInvariants(ctx: Context): string[] {
  const store = ctx.store(STORE);
  const next = nextAccountNumber.get(store) ?? 0n;
  const seen = new Set<bigint>();
  const broken: string[] = [];
  for (const [, account] of accounts.entries(store)) {
    if (account.accountNumber >= next) broken.push(`auth/number-beyond-counter: ${account.address}`);
    if (seen.has(account.accountNumber)) broken.push(`auth/number-twice: ${account.accountNumber}`);
    seen.add(account.accountNumber);
  }
  return broken;
}

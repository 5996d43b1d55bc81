import type { Context } from "../../app/module.ts";
import type { Bank } from "./expects.ts";
import { ACCOUNT, dutyPools, firstOpen, rows, STORE } from "./keys.ts";
import { unclaimed } from "./transition.ts";

export function rewardInvariants(bank: Bank, ctx: Context): string[] {
  const store = ctx.store(STORE);
  const broken: string[] = [];
  const open = firstOpen.get(store) ?? 0n;
  let owed = 0n;
  for (const [, amount] of dutyPools.entries(store)) owed += amount;
  for (const [, row] of rows.entries(store)) {
    owed += unclaimed(row);
    if (row.epoch >= open && (row.claimed || unclaimed(row) > 0n)) {
      broken.push(`epoch ${row.epoch} is not settled, but ${row.participant} has a reward of it`);
    }
    if (row.excluded && unclaimed(row) > 0n)
      broken.push(`${row.participant} is excluded from epoch ${row.epoch} and paid`);
  }
  const held = bank.balance(ctx, ACCOUNT);
  if (held !== owed) broken.push(`reward account holds ${held}, pools and unclaimed rewards are ${owed}`);
  return broken;
}

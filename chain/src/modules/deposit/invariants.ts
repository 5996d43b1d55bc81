import type { Context } from "../../app/module.ts";
import type { Bank } from "./expects.ts";
import { ACCOUNT, deposits, STORE, totalLocked } from "./keys.ts";

export function depositInvariants(bank: Bank, ctx: Context): string[] {
  const broken: string[] = [];
  let sum = 0n;
  let locked = 0n;
  for (const [client, entry] of deposits.entries(ctx.store(STORE))) {
    sum += entry.available + entry.locked;
    locked += entry.locked;
    if (entry.client !== client) broken.push(`row of ${client} names ${entry.client}`);
    if (entry.refunding > entry.available) broken.push(`refund of ${client} exceeds what is available`);
  }
  const held = bank.balance(ctx, ACCOUNT);
  if (held !== sum) broken.push(`deposit account holds ${held}, deposits ${sum}`);
  const counted = totalLocked.get(ctx.store(STORE)) ?? 0n;
  if (counted !== locked) broken.push(`total locked says ${counted}, deposits ${locked}`);
  return broken;
}

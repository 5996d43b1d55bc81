import type { Context } from "../../app/module.ts";
import { bech32Of } from "./address.ts";
import { balances, STORE, supply } from "./keys.ts";

/** Nothing appears or vanishes: the balances sum up to the supply, and no entry is zero. */
export function bankInvariants(ctx: Context): string[] {
  const store = ctx.store(STORE);
  const broken: string[] = [];
  let sum = 0n;
  for (const [address, amount] of balances.entries(store)) {
    sum += amount;
    if (amount === 0n) broken.push(`bank/empty-balance: ${bech32Of(address)}`);
  }
  const recorded = supply.get(store) ?? 0n;
  if (sum !== recorded) broken.push(`bank/supply: balances sum up to ${sum}, supply is ${recorded}`);
  return broken;
}

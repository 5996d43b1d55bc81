import { deposit } from "@karat/proto";
import type { Context } from "../../app/module.ts";
import { addU64 } from "../../numeric/checked.ts";
import {
  asGenesis,
  fromGenesisJson,
  fundModuleAccount,
  genesisList,
  genesisObject,
  invalidGenesis,
} from "../support/genesis.ts";
import { requireAddress } from "../support/message.ts";
import type { DepositDeps } from "./expects.ts";
import { deposits, STORE } from "./keys.ts";

/** `{deposits: [{client, available, refunding?, refundHeight?}]}`; the coins are minted. */
export function initDeposits({ bank }: DepositDeps, ctx: Context, state: unknown): void {
  const given = genesisObject(state, "deposit", ["deposits"]);
  let total = 0n;
  genesisList(given.deposits, "deposit.deposits").forEach((json, i) => {
    const where = `deposit.deposits[${i}]`;
    const entry = fromGenesisJson(deposit.Deposit, json, where);
    asGenesis(() => requireAddress(entry.client, `${where}.client`));
    if (deposits.has(ctx.store(STORE), entry.client)) throw invalidGenesis(`${where}: ${entry.client} appears twice`);
    if (entry.available === 0n) throw invalidGenesis(`${where}: available must be positive`);
    if (entry.locked !== 0n) throw invalidGenesis(`${where}: a genesis has no inferences that could hold a lock`);
    if (entry.refunding > entry.available) throw invalidGenesis(`${where}: refunding exceeds available`);
    deposits.set(ctx.store(STORE), entry.client, entry);
    total = addU64(total, entry.available);
  });
  fundModuleAccount(ctx, bank, STORE, total);
}

/** Open inferences are not exported, so what they hold is their clients' again. */
export function exportDeposits(ctx: Context): unknown {
  return {
    deposits: Array.from(deposits.entries(ctx.store(STORE)), ([, entry]) =>
      deposit.Deposit.toJSON({ ...entry, available: addU64(entry.available, entry.locked), locked: 0n }),
    ),
  };
}

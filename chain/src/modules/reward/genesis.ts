import { reward } from "@karat/proto";
import type { Context } from "../../app/module.ts";
import { addU64 } from "../../numeric/checked.ts";
import {
  asGenesis,
  fromGenesisJson,
  fundModuleAccount,
  genesisAmount,
  genesisList,
  genesisObject,
  invalidGenesis,
} from "../support/genesis.ts";
import { requireAddress } from "../support/message.ts";
import type { Bank } from "./expects.ts";
import { dutyPools, firstOpen, minted, rows, STORE } from "./keys.ts";
import { unclaimed } from "./transition.ts";

/** Nothing for a new chain; of an exported one `{rows, dutyPools: [{epoch, amount}], firstOpen, minted}`. */
export function initRewards(bank: Bank, ctx: Context, state: unknown): void {
  const store = ctx.store(STORE);
  const given = genesisObject(state, "reward", ["rows", "dutyPools", "firstOpen", "minted"]);
  let held = 0n;
  genesisList(given.rows, "reward.rows").forEach((json, i) => {
    const where = `reward.rows[${i}]`;
    const row = fromGenesisJson(reward.EpochReward, json, where);
    asGenesis(() => requireAddress(row.participant, where));
    if (rows.has(store, [row.epoch, row.participant])) throw invalidGenesis(`${where} appears twice`);
    rows.set(store, [row.epoch, row.participant], row);
    held = addU64(held, unclaimed(row));
  });
  genesisList(given.dutyPools, "reward.dutyPools").forEach((json, i) => {
    const where = `reward.dutyPools[${i}]`;
    const pool = genesisObject(json, where, ["epoch", "amount"]);
    const amount = genesisAmount(pool.amount, where);
    dutyPools.set(store, genesisAmount(pool.epoch, where), amount);
    held = addU64(held, amount);
  });
  firstOpen.set(store, genesisAmount(given.firstOpen ?? "0", "reward.firstOpen"));
  minted.set(store, genesisAmount(given.minted ?? "0", "reward.minted"));
  fundModuleAccount(ctx, bank, STORE, held);
}

export function exportRewards(ctx: Context): unknown {
  const store = ctx.store(STORE);
  return {
    rows: Array.from(rows.entries(store), ([, row]) => reward.EpochReward.toJSON(row)),
    dutyPools: Array.from(dutyPools.entries(store), ([epoch, amount]) => ({
      epoch: epoch.toString(),
      amount: amount.toString(),
    })),
    firstOpen: (firstOpen.get(store) ?? 0n).toString(),
    minted: (minted.get(store) ?? 0n).toString(),
  };
}

import { reputation } from "@karat/proto";
import type { Context } from "../../app/module.ts";
import { asGenesis, fromGenesisJson, genesisList, genesisObject, invalidGenesis } from "../support/genesis.ts";
import { requireAddress } from "../support/message.ts";
import { reputations, STORE, standings } from "./keys.ts";

/** Nothing for a new chain; of an exported one `{standings: [proto JSON], reputations: [proto JSON]}`. Throws `invalid genesis`. */
export function initReputation(ctx: Context, state: unknown): void {
  const store = ctx.store(STORE);
  const given = genesisObject(state, STORE, ["standings", "reputations"]);
  genesisList(given.standings, "reputation.standings").forEach((json, i) => {
    const where = `reputation.standings[${i}]`;
    const row = fromGenesisJson(reputation.Standing, json, where);
    asGenesis(() => requireAddress(row.participant, where));
    if (standings.has(store, row.participant)) throw invalidGenesis(`${where} appears twice`);
    standings.set(store, row.participant, row);
  });
  genesisList(given.reputations, "reputation.reputations").forEach((json, i) => {
    const where = `reputation.reputations[${i}]`;
    const row = fromGenesisJson(reputation.Reputation, json, where);
    asGenesis(() => requireAddress(row.participant, where));
    if (reputations.has(store, [row.participant, row.model])) throw invalidGenesis(`${where} appears twice`);
    reputations.set(store, [row.participant, row.model], row);
  });
}

export function exportReputation(ctx: Context): unknown {
  const store = ctx.store(STORE);
  return {
    standings: Array.from(standings.entries(store), ([, row]) => reputation.Standing.toJSON(row)),
    reputations: Array.from(reputations.entries(store), ([, row]) => reputation.Reputation.toJSON(row)),
  };
}

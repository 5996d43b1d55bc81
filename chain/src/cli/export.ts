import { existsSync } from "node:fs";
import { KaratError, silentLogger } from "@karat/common";
import { createKaratApp, STORES } from "../app/compose.ts";
import type { GenesisJson } from "../engine/index.ts";
import { LmdbCommitStore } from "../store/index.ts";
import { homePaths, readHomeGenesis } from "./home.ts";
import { lockHome } from "./lock.ts";
import { readOptions } from "./usage.ts";

/**
 * `export --home <dir>`: prints a genesis with the last committed state, for a chain that starts again from it at the
 * next height. Consensus parameters and validators are those of the home's genesis. Throws `no_state`, and `home_locked` while
 * the node is running.
 */
export async function exportState(args: readonly string[]): Promise<void> {
  const { home } = readOptions(args, ["home"], ["home"]);
  const genesis = await readHomeGenesis(home);
  const path = homePaths(home).state;
  if (!existsSync(path)) throw new KaratError("no_state", "the node has never run", { path });
  const lock = await lockHome(home);
  try {
    exportFrom(path, genesis);
  } finally {
    lock.release();
  }
}

function exportFrom(path: string, genesis: GenesisJson): void {
  const store = LmdbCommitStore.open({ path, ...STORES });
  try {
    if (store.height() === 0n) throw new KaratError("no_state", "the node has no blocks yet", { path });
    const app = createKaratApp({ store, log: silentLogger, chainId: genesis.chain_id });
    const exported = { ...genesis, initial_height: String(store.height() + 1n), app_state: app.exportGenesis() };
    process.stdout.write(`${JSON.stringify(exported, null, 2)}\n`);
  } finally {
    store.close();
  }
}

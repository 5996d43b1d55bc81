import { existsSync } from "node:fs";
import { KaratError, silentLogger } from "@karat/common";
import { createKaratApp, STORES } from "../app/compose.ts";
import type { KaratApp } from "../app/karatApp.ts";
import type { GenesisJson } from "../engine/index.ts";
import { LmdbCommitStore } from "../store/index.ts";
import { homePaths, readHomeGenesis } from "./home.ts";
import { lockHome } from "./lock.ts";

export interface HomeState {
  readonly app: KaratApp;
  readonly store: LmdbCommitStore;
  readonly genesis: GenesisJson;
}

/** The committed state of a home whose node is not running. Throws `no_state`, and `home_locked` while it is. */
export async function withHomeState(home: string, use: (state: HomeState) => void): Promise<void> {
  const genesis = await readHomeGenesis(home);
  const path = homePaths(home).state;
  if (!existsSync(path)) throw new KaratError("no_state", "the node has never run", { path });
  const lock = await lockHome(home);
  try {
    const store = LmdbCommitStore.open({ path, ...STORES });
    try {
      if (store.height() === 0n) throw new KaratError("no_state", "the node has no blocks yet", { path });
      use({ app: createKaratApp({ store, log: silentLogger, chainId: genesis.chain_id }), store, genesis });
    } finally {
      store.close();
    }
  } finally {
    lock.release();
  }
}

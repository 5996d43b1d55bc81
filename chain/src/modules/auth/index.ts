import type { Module } from "../../app/module.ts";
import { type AuthGenesis, exportAuthGenesis, initAuthGenesis } from "./genesis.ts";
import { authInvariants } from "./invariants.ts";
import { type Accounts, accountKeeper } from "./keeper.ts";
import { STORE } from "./keys.ts";
import { authQueries } from "./queries.ts";

export type { AuthGenesis } from "./genesis.ts";
export { type Accounts, accountKeeper, requireAddress } from "./keeper.ts";
export { SECP256K1_TYPE_URL } from "./keys.ts";
export type { Account } from "./types.ts";

export interface AuthOptions {
  /** Names of the modules that own an account. */
  readonly moduleAccounts: readonly string[];
}

export function createAuthModule(options: AuthOptions): Module & Accounts {
  return {
    ...accountKeeper,
    name: STORE,
    queries: authQueries(accountKeeper, options.moduleAccounts),
    initGenesis: (ctx, state) => initAuthGenesis(ctx, accountKeeper, state as AuthGenesis),
    exportGenesis: exportAuthGenesis,
    invariants: authInvariants,
  };
}

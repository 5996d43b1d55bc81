/**
 * For tools that set up or drive a node in their own process (scripts, tests, benchmarks). Nodes and clients meet over the
 * wire: neither the API node nor the sidecar imports this.
 */
export { type CreateAppOptions, composeModules, createKaratApp, STORES } from "./app/compose.ts";
export { buildGenesis, type GenesisAccount, type GenesisOptions, type GenesisValidator } from "./app/genesis.ts";
export type { KaratApp } from "./app/karatApp.ts";
export { validateGenesis } from "./app/validateGenesis.ts";
export { ensureNodeKey, ensureValidatorKey, homePaths, writeHomeGenesis, writeValidatorKey } from "./cli/home.ts";
export {
  CometEngine,
  type Ed25519Key,
  ed25519Key,
  type GenesisJson,
  nodeIdOf,
  randomEd25519Key,
  SoloEngine,
} from "./engine/index.ts";
export { DEFAULT_PARAMS, LOCALNET_PARAMS } from "./modules/params/index.ts";
export { LmdbCommitStore, MemoryCommitStore } from "./store/index.ts";

export type { Application, RunningEngine } from "./abci.ts";
export { cacheFolder, ensureCometBft, findCometBft } from "./cometbft/binary.ts";
export { type CometSettings, type CometStateSync, nodeIdOf, writeCometHome } from "./cometbft/home.ts";
export { type AbciServer, type AbciServerOptions, serveAbci } from "./cometbft/server.ts";
export { CometEngine, type CometOptions } from "./cometbft/supervisor.ts";
export { type GenesisJson, readGenesis, singleValidatorGenesis } from "./consensus/genesis.ts";
export { type Ed25519Key, ed25519Key, randomEd25519Key } from "./consensus/keys.ts";
export { SoloEngine, type SoloOptions } from "./solo/engine.ts";

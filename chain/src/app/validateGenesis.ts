import { silentLogger, utf8 } from "@karat/common";
import { type GenesisJson, parseGenesis } from "../engine/consensus/genesis.ts";
import { MemoryCommitStore } from "../store/index.ts";
import { createKaratApp, STORES } from "./compose.ts";

/**
 * Runs InitChain on an empty state in memory. Throws what a node would refuse the genesis with: `engine/bad-genesis`,
 * ChainError `invalid_genesis`, `invariant_broken`. Returns the app hash that the chain starts with and
 * the consensus set that the state asks for: none where it leaves the file's.
 */
export function validateGenesis(json: GenesisJson): {
  appHash: Uint8Array;
  validators: { publicKey: Uint8Array; power: bigint }[];
} {
  const genesis = parseGenesis(json);
  const app = createKaratApp({
    store: new MemoryCommitStore(STORES),
    log: silentLogger,
    checkInvariants: true,
  });
  const { appHash, validators } = app.initChain({
    chainId: genesis.chainId,
    time: genesis.time,
    consensusParams: genesis.params,
    validators: genesis.validators.map(({ pubKey, power }) => ({ pubKey, power })),
    appStateBytes: utf8(JSON.stringify(genesis.appState)),
    initialHeight: genesis.initialHeight,
  });
  return { appHash, validators: validators.map(({ pubKey, power }) => ({ publicKey: pubKey.ed25519!, power })) };
}

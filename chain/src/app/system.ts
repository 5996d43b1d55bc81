import { Timestamp } from "cosmjs-types/google/protobuf/timestamp";
import { ConsensusParams } from "cosmjs-types/tendermint/types/params";
import { type Codec, cosmosCodec, Item, text, u64 } from "../store/collections.ts";
import type { BlockInfo } from "./context.ts";
import type { State } from "./state.ts";

/** The application's own store: what it must know again after a restart or a state sync. */
export const SYSTEM_STORE = "system";

const chainId = new Item(0x01, text);
const consensusParams = new Item(0x02, cosmosCodec(ConsensusParams) as Codec<ConsensusParams>);
const lastTime = new Item(0x03, cosmosCodec(Timestamp) as Codec<Timestamp>);
const lastHeight = new Item(0x04, u64);

/** Consensus without a gas limit still has one: fees and shares are computed from it. */
const GAS_WITHOUT_LIMIT = 1_000_000_000_000n;
const BYTES_WITHOUT_LIMIT = 100n * 1024n * 1024n;

export function initSystem(
  state: State,
  genesis: { chainId: string; params: ConsensusParams; time: Timestamp; initialHeight: bigint },
): void {
  const store = state.store(SYSTEM_STORE);
  chainId.set(store, genesis.chainId);
  consensusParams.set(store, genesis.params);
  lastTime.set(store, genesis.time);
  lastHeight.set(store, genesis.initialHeight - 1n);
}

export function recordBlock(state: State, block: BlockInfo): void {
  const store = state.store(SYSTEM_STORE);
  lastTime.set(store, block.time);
  lastHeight.set(store, block.height);
}

/** Undefined before InitChain. */
export function chainIdOf(state: State): string | undefined {
  return chainId.get(state.reader(SYSTEM_STORE));
}

/** The block after genesis or after the last one, as far as it is known in between; its hash is empty. */
export function lastBlock(state: State, chain: string): BlockInfo {
  const store = state.reader(SYSTEM_STORE);
  const time = lastTime.get(store);
  return {
    chainId: chain,
    height: lastHeight.get(store) ?? 0n,
    time: { seconds: time?.seconds ?? 0n, nanos: time?.nanos ?? 0 },
    blockHash: new Uint8Array(),
  };
}

/** What a block may hold by the consensus parameters of the genesis. */
export function blockLimits(state: State): { bytes: bigint; gas: bigint } {
  const block = consensusParams.get(state.reader(SYSTEM_STORE))?.block;
  return {
    bytes: block !== undefined && block.maxBytes > 0n ? block.maxBytes : BYTES_WITHOUT_LIMIT,
    gas: block !== undefined && block.maxGas > 0n ? block.maxGas : GAS_WITHOUT_LIMIT,
  };
}

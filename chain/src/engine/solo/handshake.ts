import { KaratError, type Logger, toHex } from "@karat/common";
import { RequestCommit, RequestInfo, RequestInitChain, type ResponseInfo } from "cosmjs-types/tendermint/abci/types";
import type { Application } from "../abci.ts";
import type { Genesis } from "../consensus/genesis.ts";
import type { Executor } from "./executor.ts";
import { type ChainState, genesisState, nextHeight, stateAfter } from "./state.ts";
import type { DecidedBlock, SoloStore } from "./store.ts";

/** The CometBFT release whose behaviour and replies the solo engine has. */
export const COMET_VERSION = "0.38.25";
/** What `Info` is told, as that release tells it. */
export const INFO_REQUEST: RequestInfo = RequestInfo.fromPartial({
  version: COMET_VERSION,
  blockVersion: 11n,
  p2pVersion: 8n,
  abciVersion: "2.0.0",
});

interface Handshake {
  readonly application: Application;
  readonly store: SoloStore;
  readonly executor: Executor;
  readonly genesis: Genesis;
  readonly log: Logger;
}

const refuse = (code: string, message: string, data: Record<string, unknown>): never => {
  throw new KaratError(`engine/${code}`, message, data);
};

/**
 * Brings application and store to the same height after a start: InitChain for a new application, then every block that the
 * application lacks, again. Returns the state to build on. Throws
 * - `engine/app-ahead` when the application has committed a block this store does not know;
 * - `engine/app-too-old` when a block it lacks was pruned;
 * - `engine/replay-diverged` when it answers differently from what the store recorded;
 * - `engine/other-chain` when the store is of another genesis.
 */
export async function handshake({ application, store, executor, genesis, log }: Handshake): Promise<ChainState> {
  const info = await application.info(INFO_REQUEST);
  const appHeight = info.lastBlockHeight;
  const storeHeight = store.height;
  if (appHeight > storeHeight) {
    refuse("app-ahead", "the application is ahead of the block store", { appHeight, storeHeight });
  }
  const stored = store.state();
  if (stored && stored.chainId !== genesis.chainId) {
    refuse("other-chain", "the block store is of another chain", { stored: stored.chainId, genesis: genesis.chainId });
  }
  let state = appHeight === 0n ? await initChain(application, genesis, info) : undefined;
  if (stored === undefined || (stored.lastHeight === 0n && storeHeight === 0n)) {
    if (state === undefined) return refuse("store-corrupt", "blocks without a state", { storeHeight });
    store.saveGenesisState(state);
  }
  state ??= stateAtApp(store, stored!, info);
  for (let height = nextHeight(state); height <= storeHeight; height++) {
    log.info({ height: height.toString(), appHeight: appHeight.toString() }, "replaying a block");
    state = await replay(store, executor, application, state, height, stored?.lastHeight ?? 0n);
  }
  return state;
}

async function initChain(application: Application, genesis: Genesis, info: ResponseInfo): Promise<ChainState> {
  const response = await application.initChain(
    RequestInitChain.fromPartial({
      time: genesis.time,
      chainId: genesis.chainId,
      consensusParams: genesis.params,
      validators: genesis.validators.map(({ pubKey, power }) => ({ pubKey, power })),
      appStateBytes: Buffer.from(JSON.stringify(genesis.appState)),
      initialHeight: genesis.initialHeight,
    }),
  );
  return genesisState(genesis, response, info.appVersion);
}

/** The state as it was when the application committed last. */
function stateAtApp(store: SoloStore, stored: ChainState, info: ResponseInfo): ChainState {
  const height = info.lastBlockHeight;
  if (height > stored.lastHeight) {
    // Results are on disk before the application commits, so only a store that lost them gets here.
    refuse("app-ahead", "the application committed a block whose results are not in the store", {
      appHeight: height,
      stateHeight: stored.lastHeight,
    });
  }
  const state = height === stored.lastHeight ? stored : rebuildState(store, stored, height);
  if (Buffer.compare(state.appHash, info.lastBlockAppHash) !== 0) {
    refuse("replay-diverged", "the application's hash is not the recorded one", {
      height,
      recorded: toHex(state.appHash),
      application: toHex(info.lastBlockAppHash),
    });
  }
  return state;
}

/** An earlier state, from what blocks, results and validator sets say about it. */
function rebuildState(store: SoloStore, stored: ChainState, height: bigint): ChainState {
  const meta = store.meta(height);
  const response = store.results(height);
  const signers = store.validators(height);
  const next = store.validators(height + 1n);
  const params = store.params(height);
  if (!meta || !response || !signers || !next || !params) {
    return refuse("app-too-old", "the application lacks blocks that were pruned", {
      appHeight: height,
      base: store.base,
    });
  }
  const before: ChainState = {
    ...stored,
    lastHeight: height - 1n,
    validators: signers,
    nextValidators: next,
    params,
    appVersion: meta.header.version.app,
  };
  return stateAfter(before, meta.header, meta.blockId, response);
}

async function replay(
  store: SoloStore,
  executor: Executor,
  application: Application,
  state: ChainState,
  height: bigint,
  recordedHeight: bigint,
): Promise<ChainState> {
  const [block, meta, commit] = [store.block(height), store.meta(height), store.commit(height)];
  if (!block || !meta || !commit) {
    return refuse("app-too-old", "the application lacks blocks that were pruned", { height, base: store.base });
  }
  const header = block.header;
  if (Buffer.compare(header.appHash, state.appHash) !== 0) {
    refuse("replay-diverged", "the application's hash is not the one in the next header", {
      height: state.lastHeight,
      recorded: toHex(header.appHash),
      application: toHex(state.appHash),
    });
  }
  if (Buffer.compare(header.lastResultsHash, state.lastResultsHash) !== 0) {
    refuse("replay-diverged", "the results of a replayed block are not those in the next header", {
      height: state.lastHeight,
      recorded: toHex(header.lastResultsHash),
      application: toHex(state.lastResultsHash),
    });
  }
  const decided: DecidedBlock = { block, meta, commit, encoded: new Uint8Array() };
  if (height > recordedHeight) return (await executor.apply(state, decided)).after;
  const { after } = await executor.execute(state, decided);
  const recorded = store.results(height);
  if (!recorded || Buffer.compare(recorded.appHash, after.appHash) !== 0) {
    refuse("replay-diverged", "a replayed block gave another app hash", { height });
  }
  await application.commit(RequestCommit.fromPartial({}));
  return after;
}

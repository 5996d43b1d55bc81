import type * as abci from "cosmjs-types/tendermint/abci/types";

type Answer<T> = T | Promise<T>;

/**
 * One ABCI 2.0 application, as both engines drive it (message types: CometBFT v0.38, `tendermint.abci`).
 *
 * What an engine promises: `initChain`, `prepareProposal`, `processProposal`, `finalizeBlock`, `commit` and `checkTx` are never
 * in flight together; `info` and `query` may be served in between. `finalizeBlock` for one height may come twice (after a
 * crash), so nothing may persist before `commit`; `commit` answers only when the state is durable. Anything thrown stops the
 * node: an invalid transaction is a code in the answer, never an exception.
 */
export interface Application {
  /** The last committed height and app hash: what the handshake after a restart starts from. */
  info(request: abci.RequestInfo): Answer<abci.ResponseInfo>;
  query(request: abci.RequestQuery): Answer<abci.ResponseQuery>;

  checkTx(request: abci.RequestCheckTx): Answer<abci.ResponseCheckTx>;

  initChain(request: abci.RequestInitChain): Answer<abci.ResponseInitChain>;
  prepareProposal(request: abci.RequestPrepareProposal): Answer<abci.ResponsePrepareProposal>;
  processProposal(request: abci.RequestProcessProposal): Answer<abci.ResponseProcessProposal>;
  extendVote(request: abci.RequestExtendVote): Answer<abci.ResponseExtendVote>;
  verifyVoteExtension(request: abci.RequestVerifyVoteExtension): Answer<abci.ResponseVerifyVoteExtension>;
  finalizeBlock(request: abci.RequestFinalizeBlock): Answer<abci.ResponseFinalizeBlock>;
  commit(request: abci.RequestCommit): Answer<abci.ResponseCommit>;

  listSnapshots(request: abci.RequestListSnapshots): Answer<abci.ResponseListSnapshots>;
  offerSnapshot(request: abci.RequestOfferSnapshot): Answer<abci.ResponseOfferSnapshot>;
  loadSnapshotChunk(request: abci.RequestLoadSnapshotChunk): Answer<abci.ResponseLoadSnapshotChunk>;
  applySnapshotChunk(request: abci.RequestApplySnapshotChunk): Answer<abci.ResponseApplySnapshotChunk>;
}

/** A node that runs an application; both engines answer with this shape. */
export interface RunningEngine {
  /** Where the CometBFT RPC listens, as `http://host:port`; the websocket is at `/websocket` of the same. */
  readonly rpcUrl: string;
  /** Resolves when the engine has stopped because it was asked to; rejects with the reason when it halted by itself. */
  readonly finished: Promise<void>;
  /** Ends the engine in order and waits for it. Safe to call twice. */
  stop(): Promise<void>;
}

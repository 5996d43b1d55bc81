import * as abci from "cosmjs-types/tendermint/abci/types";

/** State sync behind the application; what the four ABCI snapshot methods ask. */
export interface SnapshotService {
  list(): abci.Snapshot[];
  offer(request: abci.RequestOfferSnapshot): abci.ResponseOfferSnapshot_Result;
  load(request: abci.RequestLoadSnapshotChunk): Uint8Array;
  apply(request: abci.RequestApplySnapshotChunk): abci.ResponseApplySnapshotChunk;
  /** After each commit: the service decides whether a snapshot of this height is due. */
  committed(height: bigint): void;
}

/** A node that neither serves nor takes snapshots. */
export const rejectSnapshots: SnapshotService = {
  list: () => [],
  offer: () => abci.ResponseOfferSnapshot_Result.REJECT,
  load: () => new Uint8Array(),
  apply: () => ({ result: abci.ResponseApplySnapshotChunk_Result.ABORT, refetchChunks: [], rejectSenders: [] }),
  committed() {},
};

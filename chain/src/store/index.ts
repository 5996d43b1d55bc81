export { MAX_KEY_BYTES, MAX_VALUE_BYTES } from "./limits.ts";
export { LmdbCommitStore, type LmdbStoreOptions } from "./lmdb.ts";
export { MemoryCommitStore } from "./memory.ts";
export { Overlay } from "./overlay.ts";
export {
  chunkHash,
  exportSnapshot,
  MAX_CHUNK_BYTES,
  MAX_CHUNKS,
  SNAPSHOT_FORMAT,
  SnapshotImport,
  type SnapshotOffer,
  snapshotOffer,
} from "./snapshot.ts";
export { TreeCommitStore, type TreeStoreOptions } from "./treeStore.ts";
export type { Change, ChangeSet, CommitStore, Proven, Range, Reader } from "./types.ts";
export { verifyState } from "./verifyState.ts";

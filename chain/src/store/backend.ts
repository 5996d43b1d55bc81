import type { NodeSource, Ref } from "./iavl/node.ts";
import type { JournalRecord } from "./journal/write.ts";
import type { ChangeSet, Reader } from "./types.ts";

/** The roots of all stores after a block; a store without entries has none. */
export interface Version {
  height: number;
  appHash: Uint8Array;
  roots: ReadonlyMap<string, Ref | undefined>;
}

/** Everything one block changes. It is written as a whole or not at all. */
export interface Batch {
  version: Version;
  /** New nodes, children before parents; their ids are assigned. */
  created: readonly Ref[];
  /** First id that is free afterwards. */
  nextId: number;
  /** Saved nodes that this version no longer reaches. */
  orphans: readonly number[];
  /** For the flat tables; of journaled stores, the places of entries. */
  changes: ChangeSet;
  journal: readonly JournalRecord[];
  meta: ReadonlyMap<string, Uint8Array>;
  /** Versions below this height are no longer wanted. */
  keepFrom: number;
}

/** The leaves of a block as a state sync brings them. */
export type PartialLeaves = Pick<JournalRecord, "name" | "height" | "leaves" | "pages">;

/** What a CommitStore needs from its storage. Nodes are known by ids that are never given twice. */
export interface Backend extends NodeSource {
  /** The last committed version; undefined when fresh. */
  readonly latest: Version | undefined;
  readonly nextId: number;
  version(height: number): Version | undefined;
  /** The entries of the last committed version; of journaled stores, their places. */
  reader(name: string): Reader;
  /** BlockLeaves; kept while one of them is current in a kept version. */
  leaves(name: string, height: number): Uint8Array | undefined;
  /** The page of a block's values that begins with that of a leaf; kept as its leaves are. */
  values(name: string, height: number, first: number): Uint8Array | undefined;
  /** Undo of a block later than the first kept version. */
  undo(name: string, height: number): Uint8Array | undefined;
  meta(key: string): Uint8Array | undefined;
  allMeta(): Map<string, Uint8Array>;
  /** Atomic, and durable before it returns where the backend is durable at all. Throws `commit_failed`. */
  write(batch: Batch): void;
  /**
   * Nodes and entries of a version under construction (state sync), in bounded transactions. The store stays at height
   * 0 until a `write` gives them a version; what an interrupted import left over is gone after the next opening.
   */
  writePartial(created: readonly Ref[], changes: ChangeSet, leaves?: readonly PartialLeaves[]): void;
  /** Removes what `writePartial` wrote. */
  discardPartial(): void;
  close(): void;
}

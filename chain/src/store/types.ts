import type { Value } from "./value.ts";

/** Ordered, read-only view of one store. Returned bytes are shared: nobody may change them. */
export interface Reader {
  get(key: Uint8Array): Uint8Array | undefined;
  has(key: Uint8Array): boolean;
  /** Entries in byte order of their keys; `start` inclusive, `end` exclusive, also when reversed. */
  iterate(range?: Range): Iterable<readonly [Uint8Array, Uint8Array]>;
}

export interface Range {
  start?: Uint8Array;
  end?: Uint8Array;
  reverse?: boolean;
}

/** Bounds of an iteration over binary keys; as in Range. */
export interface KeyRange {
  start?: string;
  end?: string;
  reverse?: boolean;
}

/**
 * A store as the state machine sees it: values decoded, keys as binary strings, which have one character per byte and so sort
 * as bytes do. What is handed out is shared: nobody may change it.
 */
export interface ValueReader {
  value(key: string): Value | undefined;
  /** Entries in order of their keys. */
  values(range?: KeyRange): Iterable<readonly [key: string, value: Value]>;
}

/** A ValueReader that can be written. */
export interface ValueWriter extends ValueReader {
  /** Undefined deletes; deleting what is not there is no error. Throws KaratError `invalid_key`. */
  put(key: string, value: Value | undefined): void;
}

/** Writes of one block by store name, in the order they shall be applied (sorted by key inside a store). value undefined = delete. */
export type ChangeSet = ReadonlyMap<string, readonly Change[]>;
export type Change = readonly [key: Uint8Array, value: Uint8Array | undefined];

export interface ProofOp {
  type: string;
  key: Uint8Array;
  data: Uint8Array;
}

/** A value, or its absence, with the ICS-23 proof against the app hash of `height` (in the header of `height` + 1). */
export interface Proven {
  value: Uint8Array | undefined;
  height: bigint;
  /**
   * Innermost first: `ics23:iavl` (key to store root), then `ics23:simple` (store name to app hash). For journaled
   * stores: `ics23:simple` (key to the root of the block that wrote it), `ics23:iavl` and `ics23:simple` (that root to
   * the app hash), `ics23:iavl` (which entries of that block are current, to the same store root).
   */
  proofOps: ProofOp[];
}

/** The state of the chain: named stores, each an IAVL+ tree or a journal, under one app hash. */
export interface CommitStore {
  /** With that of the journals' commitments where there are journaled stores. */
  readonly names: readonly string[];
  readonly journaled: readonly string[];
  /** Last committed height, 0n when fresh. */
  height(): bigint;
  /** App hash of the last commit; of the empty stores when fresh. */
  appHash(): Uint8Array;
  /** The committed state, always the newest. Throws `unknown_store`. */
  reader(name: string): Reader;
  /**
   * Applies a block's changes to working trees and returns the app hash; nothing becomes visible or durable.
   * Calling it again discards the earlier staging. The height must follow the last committed one (any height
   * ≥ 1 when fresh), else `invalid_height`.
   */
  stage(height: bigint, changes: ChangeSet): Uint8Array;
  /** One durable transaction for what was staged; throws `nothing_staged`. */
  commit(): { height: bigint; appHash: Uint8Array };
  /** The committed value of an engine-side entry: not part of the app hash, not part of snapshots. */
  meta(key: string): Uint8Array | undefined;
  /**
   * Staged and committed in the same transaction as the block. What is set after `stage` belongs to that staging
   * and is discarded with it; what is set before belongs to whatever is committed next.
   */
  setMeta(key: string, value: Uint8Array): void;
  /**
   * ICS-23 existence or non-existence at a height (default: the last). Throws `unknown_store`, `height_unavailable`;
   * `absence_not_provable` for what a journaled store does not hold.
   */
  prove(name: string, key: Uint8Array, height?: bigint): Proven;
  close(): void;
}

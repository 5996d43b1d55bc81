import { KaratError } from "@karat/common";
import type { Backend, Version } from "./backend.ts";
import { multistoreRoot } from "./iavl/multistore.ts";
import { EMPTY_ROOT, type Ref } from "./iavl/node.ts";
import { storeProof, treeProof } from "./iavl/proof.ts";
import { Tree } from "./iavl/tree.ts";
import { WorkingTree } from "./iavl/workingTree.ts";
import { JOURNAL_STORE } from "./journal/commitment.ts";
import { type JournalItem, Journals } from "./journal/journals.ts";
import type { JournalRecord } from "./journal/write.ts";
import { checkKey, checkValue } from "./limits.ts";
import type { Change, ChangeSet, CommitStore, ProofOp, Proven, Reader } from "./types.ts";

export interface TreeStoreOptions {
  /** Store names: ASCII, distinct. May grow from one opening to the next; dropping one that was committed is refused. */
  names: readonly string[];
  /**
   * Those of `names` that are kept as a journal: cheap to write, provable as far as they hold something (`journal/`).
   * Their commitments are a store of their own, `journal`.
   */
  journaled?: readonly string[];
  /** For tests: see JOURNAL_WINDOW. */
  journalWindow?: number;
  /** How many of the newest versions can be proven and exported. Default 100, at least 1. */
  pruneKeep?: number;
  /** How many blocks a held height (see `hold`) may lag behind before it is pruned all the same. Default 10 000. */
  holdLimit?: number;
}

interface Staged {
  version: Version;
  created: readonly Ref[];
  orphans: readonly number[];
  changes: ChangeSet;
  journal: readonly JournalRecord[];
}

/** The CommitStore over IAVL+ trees and journals; where nodes and entries lie is the backend's business. */
export class TreeCommitStore implements CommitStore {
  readonly names: readonly string[];
  readonly journaled: readonly string[];
  readonly #journals: Journals;
  readonly #journalWindow: number | undefined;
  readonly #trees: readonly string[];
  readonly #backend: Backend;
  readonly #pruneKeep: number;
  readonly #holdLimit: number;
  readonly #holds: number[] = [];
  readonly #fresh: Version;
  #staged: Staged | undefined;
  /** Set while nothing was staged: for whatever is committed next. */
  readonly #earlyMeta = new Map<string, Uint8Array>();
  /** Set after `stage`: goes with that staging. */
  readonly #stagedMeta = new Map<string, Uint8Array>();

  constructor(backend: Backend, options: TreeStoreOptions) {
    const { names, journaled = [], journalWindow, pruneKeep = 100, holdLimit = 10_000 } = options;
    this.#trees = treeNames(options);
    checkNames(names, this.#trees, backend.latest);
    this.names = [...names, ...this.#trees.filter((name) => !names.includes(name))];
    this.journaled = [...journaled];
    this.#journals = new Journals(backend, this.journaled);
    this.#journalWindow = journalWindow;
    this.#backend = backend;
    this.#pruneKeep = Math.max(1, pruneKeep);
    this.#holdLimit = holdLimit;
    const roots = new Map(this.#trees.map((name) => [name, undefined]));
    this.#fresh = { height: 0, appHash: multistoreRoot(rootHashes(roots)), roots };
  }

  height(): bigint {
    return BigInt(this.#latest.height);
  }

  appHash(): Uint8Array {
    return this.#latest.appHash;
  }

  reader(name: string): Reader {
    this.#checkName(name);
    return this.#journals.has(name) ? this.#journals.reader(name) : this.#backend.reader(name);
  }

  stage(height: bigint, changes: ChangeSet): Uint8Array {
    const last = this.#latest.height;
    if (height < 1n || height > Number.MAX_SAFE_INTEGER || (last > 0 && height !== BigInt(last) + 1n)) {
      throw new KaratError("invalid_height", "the staged height must follow the committed one", { height, last });
    }
    this.#drop();
    const created: Ref[] = [];
    const orphans: number[] = [];
    const roots = new Map<string, Ref | undefined>();
    const copied = copyOf(changes, (name) => !this.#journals.has(name));
    for (const name of copied.keys()) this.#checkName(name);
    const journal = this.#stageJournals(Number(height), copied);
    for (const name of this.#trees) {
      const root = this.#latest.roots.get(name);
      const writes = copied.get(name) ?? [];
      if (writes.length === 0) {
        roots.set(name, root);
        continue;
      }
      const tree = new WorkingTree(this.#backend, root);
      for (const [key, value] of writes) {
        if (value === undefined) tree.remove(key);
        else tree.set(key, value);
      }
      const finished = tree.finish(Number(height));
      for (const ref of finished.created) created.push(ref);
      for (const id of finished.orphans) orphans.push(id);
      roots.set(name, finished.root);
    }
    const appHash = multistoreRoot(rootHashes(roots));
    this.#staged = { version: { height: Number(height), appHash, roots }, created, orphans, changes: copied, journal };
    return appHash;
  }

  commit(): { height: bigint; appHash: Uint8Array } {
    const staged = this.#staged;
    if (staged === undefined) throw new KaratError("nothing_staged", "stage a block before committing it");
    // Given up first: were the write to fail, a second attempt has to stage anew.
    this.#staged = undefined;
    const nextId = assignIds(staged.created, this.#backend.nextId);
    const { version, created, orphans, changes, journal } = staged;
    const meta = new Map([...this.#earlyMeta, ...this.#stagedMeta]);
    const held = Math.max(version.height - this.#holdLimit, Math.min(...this.#holds));
    const keepFrom = Math.min(version.height - this.#pruneKeep + 1, held);
    this.#backend.write({ version, created, nextId, orphans, changes, journal, meta, keepFrom });
    this.#earlyMeta.clear();
    this.#stagedMeta.clear();
    return { height: this.height(), appHash: version.appHash };
  }

  meta(key: string): Uint8Array | undefined {
    return this.#backend.meta(key);
  }

  setMeta(key: string, value: Uint8Array): void {
    (this.#staged === undefined ? this.#earlyMeta : this.#stagedMeta).set(key, value);
  }

  prove(name: string, key: Uint8Array, height?: bigint): Proven {
    checkKey(key);
    const version = this.#version(height);
    const at = BigInt(version.height);
    if (this.#journals.has(name)) {
      const { value, data, rootKey, liveKey } = this.#journals.prove(name, version, key);
      const [root, store] = this.#proofOps(version, JOURNAL_STORE, rootKey);
      const [live] = this.#proofOps(version, JOURNAL_STORE, liveKey);
      return { value, height: at, proofOps: [{ type: "ics23:simple", key, data }, root, store, live] };
    }
    this.#checkName(name);
    return {
      value: treeProof(this.#tree(version, name), key).value,
      height: at,
      proofOps: this.#proofOps(version, name, key),
    };
  }

  /** The state as it was after a block that is still kept; slower than `reader`. Throws `height_unavailable`. */
  readerAt(name: string, height: bigint): Reader {
    const version = this.#version(height);
    return this.#journals.has(name) ? this.#journals.readerAt(name, version.height) : this.#tree(version, name);
  }

  /** What a snapshot carries of a journaled store. Hold the height for as long as it is read. */
  journalAt(name: string, height: bigint): Iterable<JournalItem> {
    return this.#journals.items(name, this.#version(height));
  }

  /** Throws `corrupt_store` where a journaled store is not what the last app hash says. */
  verifyJournal(name: string): void {
    this.#journals.verify(name, this.#latest);
  }

  /** The versioned trees of a height, for a snapshot. Hold the height for as long as they are read. */
  treesAt(height: bigint): { appHash: Uint8Array; trees: { name: string; tree: Tree }[] } {
    const version = this.#version(height);
    const trees = [...version.roots.keys()].sort().map((name) => ({ name, tree: this.#tree(version, name) }));
    return { appHash: version.appHash, trees };
  }

  /**
   * Keeps a height, and all later ones, from being pruned until the returned function is called, or until it lags
   * `holdLimit` blocks behind: a forgotten hold must not fill the disk.
   */
  hold(height: bigint): () => void {
    const { height: held } = this.#version(height);
    this.#holds.push(held);
    let released = false;
    return () => {
      if (!released) this.#holds.splice(this.#holds.indexOf(held), 1);
      released = true;
    };
  }

  /** For the import of a snapshot. */
  get backend(): Backend {
    return this.#backend;
  }

  close(): void {
    this.#drop();
    this.#backend.close();
  }

  get #latest(): Version {
    return this.#backend.latest ?? this.#fresh;
  }

  #version(height: bigint | undefined): Version {
    const latest = this.#latest;
    if (height === undefined || height === BigInt(latest.height)) return latest;
    const version = height > 0n && height < latest.height ? this.#backend.version(Number(height)) : undefined;
    if (version === undefined) {
      throw new KaratError("height_unavailable", "no state is kept for this height", { height, last: latest.height });
    }
    return version;
  }

  /** Replaces the writes of journaled stores by what lies in the flat tables, and adds those of the commitments. */
  #stageJournals(height: number, changes: Map<string, readonly Change[]>): readonly JournalRecord[] {
    if (this.journaled.length === 0) return [];
    if (changes.has(JOURNAL_STORE)) throw new KaratError("unknown_store", "the journal is no store to write to");
    const { records, places, commitments } = this.#journals.stage(height, changes, this.#journalWindow);
    for (const name of this.journaled) changes.delete(name);
    for (const [name, writes] of places) changes.set(name, writes);
    if (commitments.length > 0) changes.set(JOURNAL_STORE, commitments);
    return records;
  }

  #proofOps(version: Version, name: string, key: Uint8Array): [ProofOp, ProofOp] {
    const { data } = treeProof(this.#tree(version, name), key);
    const store = storeProof(rootHashes(version.roots), name);
    return [
      { type: "ics23:iavl", key, data },
      { type: "ics23:simple", key: new TextEncoder().encode(name), data: store },
    ];
  }

  #tree(version: Version, name: string): Tree {
    if (!version.roots.has(name)) this.#checkName(name);
    return new Tree(this.#backend, version.roots.get(name));
  }

  #checkName(name: string): void {
    if (!this.names.includes(name)) throw new KaratError("unknown_store", "there is no store of this name", { name });
  }

  #drop(): void {
    this.#staged = undefined;
    this.#stagedMeta.clear();
  }
}

/**
 * Copies: a key that is a view of a whole transaction would keep all of it in memory. Values of journals are copied as they are staged.
 * Checks the limits.
 */
function copyOf(changes: ChangeSet, withValues: (name: string) => boolean): Map<string, readonly Change[]> {
  const copies = new Map<string, readonly Change[]>();
  for (const [name, writes] of changes) {
    const whole = withValues(name);
    const copy = ([key, value]: Change): Change => {
      checkKey(key);
      if (value === undefined) return [new Uint8Array(key), undefined];
      checkValue(value);
      return [new Uint8Array(key), whole ? new Uint8Array(value) : value];
    };
    copies.set(name, writes.map(copy));
  }
  return copies;
}

/** Root hash by store name. */
export function rootHashes(roots: ReadonlyMap<string, Ref | undefined>): Map<string, Uint8Array> {
  return new Map(Array.from(roots, ([name, root]) => [name, root?.hash ?? EMPTY_ROOT]));
}

/** Numbers the nodes from `next` on and returns the first free id. */
export function assignIds(created: readonly Ref[], next: number): number {
  let id = next;
  for (const ref of created) ref.id = id++;
  return id;
}

/** The stores that are trees: those not journaled, and that of the journals' commitments. */
export function treeNames({ names, journaled = [] }: TreeStoreOptions): readonly string[] {
  if (journaled.length === 0) return [...names];
  const known = new Set(names);
  if (known.has(JOURNAL_STORE) || !journaled.every((name) => known.has(name))) {
    throw new KaratError("invalid_names", "journaled stores are among the stores, none of which is named journal", {
      names,
      journaled,
    });
  }
  return [...names.filter((name) => !journaled.includes(name)), JOURNAL_STORE];
}

function checkNames(names: readonly string[], trees: readonly string[], latest: Version | undefined): void {
  const wellFormed = names.every((name) => /^[a-z][a-z0-9_]{0,63}$/.test(name));
  if (!wellFormed || names.length === 0 || new Set(names).size !== names.length) {
    throw new KaratError("invalid_names", "store names are distinct and match [a-z][a-z0-9_]*", { names });
  }
  const dropped = [...(latest?.roots.keys() ?? [])].filter((name) => !trees.includes(name));
  if (dropped.length > 0) throw new KaratError("unknown_store", "committed stores are missing", { dropped });
}

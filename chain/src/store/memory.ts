import { KaratError } from "@karat/common";
import type { Backend, Batch, Version } from "./backend.ts";
import { toBinary } from "./bytes.ts";
import type { Node, Ref } from "./iavl/node.ts";
import { Tree } from "./iavl/tree.ts";
import { TreeCommitStore, type TreeStoreOptions } from "./treeStore.ts";
import type { ChangeSet, Range, Reader } from "./types.ts";

/** The whole state in memory, gone with the process: for tests and for replaying. */
export class MemoryCommitStore extends TreeCommitStore {
  constructor(options: TreeStoreOptions) {
    super(new MemoryBackend(), options);
  }
}

class MemoryBackend implements Backend {
  latest: Version | undefined;
  nextId = 1;
  readonly #nodes = new Map<number, Node>();
  readonly #flat = new Map<string, Map<string, Uint8Array>>();
  readonly #versions = new Map<number, Version>();
  readonly #orphans = new Map<number, readonly number[]>();
  readonly #meta = new Map<string, Uint8Array>();

  load(id: number): Node {
    const node = this.#nodes.get(id);
    if (node === undefined) throw new KaratError("corrupt_store", "a node is missing", { id });
    return node;
  }

  version(height: number): Version | undefined {
    return this.#versions.get(height);
  }

  reader(name: string): Reader {
    const entries = this.#entries(name);
    return {
      get: (key) => entries.get(toBinary(key)),
      has: (key) => entries.has(toBinary(key)),
      iterate: (range?: Range) => new Tree(this, this.latest?.roots.get(name)).iterate(range),
    };
  }

  meta(key: string): Uint8Array | undefined {
    return this.#meta.get(key);
  }

  write(batch: Batch): void {
    this.#save(batch.created, batch.changes);
    for (const [key, value] of batch.meta) this.#meta.set(key, value);
    this.#versions.set(batch.version.height, batch.version);
    this.#orphans.set(batch.version.height, batch.orphans);
    this.nextId = batch.nextId;
    this.latest = batch.version;
    this.#prune(batch.keepFrom);
  }

  writePartial(created: readonly Ref[], changes: ChangeSet): void {
    this.#save(created, changes);
  }

  discardPartial(): void {
    this.#nodes.clear();
    for (const entries of this.#flat.values()) entries.clear();
  }

  close(): void {}

  #save(created: readonly Ref[], changes: ChangeSet): void {
    for (const ref of created) {
      this.#nodes.set(ref.id, ref.node!);
      ref.node = undefined;
    }
    for (const [name, writes] of changes) {
      const entries = this.#entries(name);
      for (const [key, value] of writes) {
        if (value === undefined) entries.delete(toBinary(key));
        else entries.set(toBinary(key), value);
      }
    }
  }

  /** Nodes orphaned at a height are needed by the versions below it only. */
  #prune(keepFrom: number): void {
    for (const [height, ids] of this.#orphans) {
      if (height > keepFrom) break;
      for (const id of ids) this.#nodes.delete(id);
      this.#orphans.delete(height);
    }
    for (const height of this.#versions.keys()) {
      if (height >= keepFrom) break;
      this.#versions.delete(height);
    }
  }

  #entries(name: string): Map<string, Uint8Array> {
    let entries = this.#flat.get(name);
    if (entries === undefined) {
      entries = new Map();
      this.#flat.set(name, entries);
    }
    return entries;
  }
}

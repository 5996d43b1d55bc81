import { KaratError } from "@karat/common";
import type { Backend, Batch, PartialLeaves, Version } from "./backend.ts";
import { toBinary } from "./bytes.ts";
import type { Node, Ref } from "./iavl/node.ts";
import type { JournalRecord } from "./journal/write.ts";
import { SortedKeys } from "./sortedKeys.ts";
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
  readonly #flat = new Map<string, Entries>();
  readonly #leaves = new Map<string, Pick<JournalRecord, "leaves" | "pages">>();
  readonly #journal = new Map<string, JournalRecord>();
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
    return this.#entries(name);
  }

  leaves(name: string, height: number): Uint8Array | undefined {
    return this.#leaves.get(`${name}/${height}`)?.leaves;
  }

  values(name: string, height: number, first: number): Uint8Array | undefined {
    return this.#leaves.get(`${name}/${height}`)?.pages.find((page) => page.first === first)?.values;
  }

  undo(name: string, height: number): Uint8Array | undefined {
    return this.#journal.get(`${name}/${height}`)?.undo;
  }

  meta(key: string): Uint8Array | undefined {
    return this.#meta.get(key);
  }

  allMeta(): Map<string, Uint8Array> {
    return new Map(this.#meta);
  }

  write(batch: Batch): void {
    this.#save(batch.created, batch.changes, batch.journal);
    for (const record of batch.journal) this.#journal.set(`${record.name}/${record.height}`, record);
    for (const [key, value] of batch.meta) this.#meta.set(key, value);
    this.#versions.set(batch.version.height, batch.version);
    this.#orphans.set(batch.version.height, batch.orphans);
    this.nextId = batch.nextId;
    this.latest = batch.version;
    this.#prune(batch.keepFrom);
  }

  writePartial(created: readonly Ref[], changes: ChangeSet, leaves: readonly PartialLeaves[] = []): void {
    this.#save(created, changes, leaves);
  }

  discardPartial(): void {
    this.#nodes.clear();
    for (const entries of this.#flat.values()) entries.clear();
    this.#leaves.clear();
  }

  close(): void {}

  #save(created: readonly Ref[], changes: ChangeSet, journal: readonly PartialLeaves[]): void {
    for (const ref of created) {
      this.#nodes.set(ref.id, ref.node!);
      ref.node = undefined;
    }
    for (const [name, writes] of changes) {
      const entries = this.#entries(name);
      for (const [key, value] of writes) {
        if (value === undefined) entries.delete(key);
        else entries.set(key, value);
      }
    }
    for (const record of journal) {
      if (record.leaves !== undefined) this.#leaves.set(`${record.name}/${record.height}`, record);
    }
  }

  /** Nodes orphaned at a height are needed by the versions below it only. */
  #prune(keepFrom: number): void {
    for (const [height, ids] of this.#orphans) {
      if (height > keepFrom) break;
      for (const id of ids) this.#nodes.delete(id);
      this.#orphans.delete(height);
    }
    for (const [id, { name, height, ended }] of this.#journal) {
      if (height > keepFrom) break;
      for (const gone of ended) this.#leaves.delete(`${name}/${gone}`);
      this.#journal.delete(id);
    }
    for (const height of this.#versions.keys()) {
      if (height >= keepFrom) break;
      this.#versions.delete(height);
    }
  }

  #entries(name: string): Entries {
    let entries = this.#flat.get(name);
    if (entries === undefined) {
      entries = new Entries();
      this.#flat.set(name, entries);
    }
    return entries;
  }
}

/** A flat table. */
class Entries implements Reader {
  readonly #byKey = new Map<string, readonly [Uint8Array, Uint8Array]>();
  #order = new SortedKeys();

  get(key: Uint8Array): Uint8Array | undefined {
    return this.#byKey.get(toBinary(key))?.[1];
  }

  has(key: Uint8Array): boolean {
    return this.#byKey.has(toBinary(key));
  }

  *iterate({ start, end, reverse = false }: Range = {}): Generator<readonly [Uint8Array, Uint8Array]> {
    const first = start === undefined ? undefined : toBinary(start);
    const bound = end === undefined ? undefined : toBinary(end);
    let key = reverse ? this.#order.previous(bound) : this.#order.next(first, false);
    while (key !== undefined) {
      const outside = reverse ? first !== undefined && key < first : bound !== undefined && key >= bound;
      if (outside) return;
      yield this.#byKey.get(key)!;
      key = reverse ? this.#order.previous(key) : this.#order.next(key, true);
    }
  }

  set(key: Uint8Array, value: Uint8Array): void {
    const binary = toBinary(key);
    if (!this.#byKey.has(binary)) this.#order.add(binary);
    this.#byKey.set(binary, [key, value]);
  }

  delete(key: Uint8Array): void {
    const binary = toBinary(key);
    if (this.#byKey.delete(binary)) this.#order.delete(binary);
  }

  clear(): void {
    this.#byKey.clear();
    this.#order = new SortedKeys();
  }
}

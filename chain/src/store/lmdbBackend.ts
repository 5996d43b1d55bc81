import { isKaratError, KaratError, messageOf } from "@karat/common";
import { open, type RootDatabase } from "lmdb";
import type { Backend, Batch, PartialLeaves, Version } from "./backend.ts";
import { plain } from "./bytes.ts";
import {
  ByteReader,
  ByteWriter,
  decodeNode,
  decodeVersion,
  encodeNode,
  encodeVersion,
  heightKey,
  heightOfKey,
} from "./codec.ts";
import { GenerationCache } from "./generationCache.ts";
import type { Node, Ref } from "./iavl/node.ts";
import { buffer, FIRST_KEY, FlatTable, PlaceTable, type Table } from "./lmdbFlat.ts";
import { LmdbJournal } from "./lmdbJournal.ts";
import type { ChangeSet, Reader } from "./types.ts";

export interface LmdbBackendOptions {
  path: string;
  names: readonly string[];
  /** Of these stores, what was read or written lately of the flat tables stays in memory. */
  journaled: readonly string[];
  /** Estimated bytes of tree nodes held in memory. */
  cacheBytes: number;
  /** Nodes pruned per commit at most; twice the commit's own orphans where that is more, so that pruning keeps up. */
  pruneBudget: number;
}

const FORMAT = 3;
const BINARY = { encoding: "binary", keyEncoding: "binary" } as const;
const ORPHANS_PER_RECORD = 400;
const VERSIONS_PRUNED_PER_COMMIT = 1000;
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const STATE = utf8("sys/state");
const PARTIAL = utf8("sys/partial");

/**
 * One LMDB environment: `nodes` (id to node), `flat:<name>` (latest entries), `versions` (height to roots), `orphans`
 * (height to the ids it orphaned), `journal` (kind, height and name to leaves, their values and how to undo them), `meta`. A commit is one write transaction, synced to disk before it returns.
 */
export class LmdbBackend implements Backend {
  readonly #env: RootDatabase<Buffer, Uint8Array>;
  readonly #nodes: Table;
  readonly #versions: Table;
  readonly #orphans: Table;
  readonly #meta: Table;
  readonly #journal: LmdbJournal;
  readonly #flat = new Map<string, FlatTable>();
  readonly #cache: GenerationCache<number, Node>;
  readonly #pruneBudget: number;
  readonly #out = new ByteWriter();
  readonly #idKey = Buffer.alloc(8);
  #latest: Version | undefined;
  #nextId = 1;

  constructor({ path, names, journaled, cacheBytes, pruneBudget }: LmdbBackendOptions) {
    this.#cache = new GenerationCache(cacheBytes, nodeCost);
    this.#pruneBudget = pruneBudget;
    this.#env = open<Buffer, Uint8Array>({
      path,
      noSubdir: false,
      maxDbs: names.length + 8,
      // Else a commit returns before it is on the disk.
      overlappingSync: false,
      ...BINARY,
    });
    this.#nodes = this.#table("nodes");
    this.#versions = this.#table("versions");
    this.#orphans = this.#table("orphans");
    this.#meta = this.#table("meta");
    this.#journal = new LmdbJournal(this.#table("journal"));
    for (const name of names) {
      const table = this.#table(`flat:${name}`);
      this.#flat.set(name, journaled.includes(name) ? new PlaceTable(table) : new FlatTable(table));
    }
    const state = this.#readState();
    if (state !== undefined) {
      this.#nextId = state.nextId;
      this.#latest = this.version(state.height);
      if (this.#latest === undefined) throw corrupt("the last version has no record", { height: state.height });
    }
    if (this.#meta.getBinary(PARTIAL) !== undefined) this.discardPartial();
  }

  get latest(): Version | undefined {
    return this.#latest;
  }

  get nextId(): number {
    return this.#nextId;
  }

  load(id: number): Node {
    const cached = this.#cache.get(id);
    if (cached !== undefined) return cached;
    const record = this.#nodes.getBinary(this.#key(id));
    if (record === undefined) throw corrupt("a node is missing", { id });
    const node = decodeNode(plain(record));
    this.#cache.set(id, node);
    return node;
  }

  version(height: number): Version | undefined {
    const record = this.#versions.getBinary(heightKey(height));
    return record === undefined ? undefined : decodeVersion(height, plain(record));
  }

  reader(name: string): Reader {
    return this.#flat.get(name)!;
  }

  leaves(name: string, height: number): Uint8Array | undefined {
    return this.#journal.leaves(name, height);
  }

  values(name: string, height: number, first: number): Uint8Array | undefined {
    return this.#journal.values(name, height, first);
  }

  undo(name: string, height: number): Uint8Array | undefined {
    return this.#journal.undo(name, height);
  }

  meta(key: string): Uint8Array | undefined {
    const value = this.#meta.getBinary(utf8(`app/${key}`));
    return value === undefined ? undefined : plain(value);
  }

  allMeta(): Map<string, Uint8Array> {
    const all = new Map<string, Uint8Array>();
    for (const { key, value } of this.#meta.getRange({ start: utf8("app/"), end: utf8("app0") })) {
      all.set(Buffer.from(key).toString("utf8", 4), plain(Buffer.from(value)));
    }
    return all;
  }

  write(batch: Batch): void {
    const { version } = batch;
    this.#transaction(() => {
      // Another process that wrote here meanwhile would have made nodes under the same ids.
      if (this.#readState()?.height !== this.#latest?.height) throw corrupt("another process wrote to this store", {});
      this.#put(batch.created, batch.changes);
      this.#journal.put(batch.journal);
      this.#versions.putSync(heightKey(version.height), buffer(encodeVersion(this.#out, version)));
      this.#putOrphans(version.height, batch.orphans);
      for (const [key, value] of batch.meta) this.#meta.putSync(utf8(`app/${key}`), buffer(value));
      const state = this.#out.reset().byte(FORMAT).uvarint(version.height).uvarint(batch.nextId);
      this.#meta.putSync(STATE, buffer(state.view()));
      this.#meta.removeSync(PARTIAL);
      this.#journal.prune(batch.keepFrom);
      this.#prune(batch.keepFrom, Math.max(this.#pruneBudget, batch.orphans.length * 2));
    });
    this.#latest = version;
    this.#nextId = batch.nextId;
    this.#saved(batch.created);
  }

  writePartial(created: readonly Ref[], changes: ChangeSet, leaves: readonly PartialLeaves[] = []): void {
    this.#transaction(() => {
      this.#meta.putSync(PARTIAL, Buffer.of(1));
      this.#put(created, changes);
      this.#journal.putLeaves(leaves);
    });
    for (const ref of created) ref.node = undefined;
  }

  discardPartial(): void {
    if (this.#latest !== undefined) throw corrupt("a partial import lies over a committed state", {});
    this.#env.transactionSync(() => {
      this.#nodes.clearSync();
      this.#journal.clear();
      for (const flat of this.#flat.values()) flat.clear();
      this.#meta.removeSync(PARTIAL);
    });
    this.#cache.clear();
  }

  close(): void {
    // Nothing is pending, all writes were synchronous: the environment is closed when this returns.
    void this.#env.close();
  }

  /** Whole and on the disk, or nothing of it. Throws `commit_failed` where the disk refuses, as when it is full. */
  #transaction(work: () => void): void {
    try {
      this.#env.transactionSync(work);
    } catch (error) {
      for (const flat of this.#flat.values()) flat.forget();
      if (isKaratError(error)) throw error;
      const help =
        "the disk did not take the block, the one before is whole: see to the disk (space, quota), then start again";
      throw new KaratError("commit_failed", help, { why: messageOf(error) }, error);
    }
  }

  #table(name: string): Table {
    return this.#env.openDB<Buffer, Uint8Array>(name, BINARY);
  }

  #readState(): { height: number; nextId: number } | undefined {
    const record = this.#meta.getBinary(STATE);
    if (record === undefined) return undefined;
    const reader = new ByteReader(record);
    const format = reader.byte();
    if (format !== FORMAT) throw corrupt("this store was written in another format", { format });
    return { height: reader.uvarint(), nextId: reader.uvarint() };
  }

  #put(created: readonly Ref[], changes: ChangeSet): void {
    for (const ref of created) this.#nodes.putSync(this.#key(ref.id), buffer(encodeNode(this.#out, ref.node!)));
    for (const [name, writes] of changes) {
      this.#flat.get(name)!.write(writes);
    }
  }

  /** The nodes are on the disk: from here on they live in the cache only. */
  #saved(created: readonly Ref[]): void {
    for (const ref of created) {
      this.#cache.set(ref.id, ref.node!);
      ref.node = undefined;
    }
  }

  #putOrphans(height: number, orphans: readonly number[]): void {
    for (let from = 0, record = 0; from < orphans.length; from += ORPHANS_PER_RECORD, record++) {
      this.#out.reset();
      for (const id of orphans.slice(from, from + ORPHANS_PER_RECORD)) this.#out.uvarint(id);
      this.#orphans.putSync(heightKey(height, record), buffer(this.#out.view()));
    }
  }

  /**
   * Removes versions below `keepFrom`, then nodes that only they needed: those orphaned at a height are needed by
   * lower versions only. At most `budget` nodes and one record; what remains is found again by the next commit.
   */
  #prune(keepFrom: number, budget: number): void {
    const old = Array.from(
      this.#versions.getKeys({
        start: FIRST_KEY,
        end: heightKey(Math.max(keepFrom, 0)),
        limit: VERSIONS_PRUNED_PER_COMMIT,
      }),
    );
    for (const key of old) this.#versions.removeSync(key);
    const [oldest] = this.#versions.getKeys({ start: FIRST_KEY, limit: 1 });
    if (oldest === undefined) return;
    const due: Buffer[] = [];
    const ids: number[] = [];
    const below = heightKey(heightOfKey(oldest) + 1);
    for (const { key, value } of this.#orphans.getRange({ start: FIRST_KEY, end: below })) {
      due.push(Buffer.from(key));
      for (const record = new ByteReader(value); !record.done; ) ids.push(record.uvarint());
      if (ids.length >= budget) break;
    }
    for (const id of ids) this.#nodes.removeSync(this.#key(id));
    for (const key of due) this.#orphans.removeSync(key);
  }

  /** Valid until the next call. */
  #key(id: number): Buffer {
    this.#idKey.writeUIntBE(id, 2, 6);
    return this.#idKey;
  }
}

/** Beside its bytes a cached node costs objects, two references with hashes, and the map's slot. */
const nodeCost = (_id: number, { key, value }: Node): number => 400 + key.length + (value?.length ?? 0);

const corrupt = (message: string, data: Record<string, unknown>) => new KaratError("corrupt_store", message, data);

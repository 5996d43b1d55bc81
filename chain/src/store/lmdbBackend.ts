import { isKaratError, KaratError, messageOf } from "@karat/common";
import { type Database, open, type RootDatabase } from "lmdb";
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
import type { JournalRecord } from "./journal/write.ts";
import type { Change, ChangeSet, Range, Reader } from "./types.ts";

type Table = Database<Buffer, Uint8Array>;

export interface LmdbBackendOptions {
  path: string;
  names: readonly string[];
  /** Estimated bytes of tree nodes held in memory. */
  cacheBytes: number;
  /** Nodes pruned per commit at most; twice the commit's own orphans where that is more, so that pruning keeps up. */
  pruneBudget: number;
}

const FORMAT = 2;
const BINARY = { encoding: "binary", keyEncoding: "binary" } as const;
const ORPHANS_PER_RECORD = 400;
const VERSIONS_PRUNED_PER_COMMIT = 1000;
/** The smallest key. lmdb-js leaves it out of a reversed range without a lower bound, so every range here has one. */
const FIRST_KEY = Uint8Array.of(0);
/** Kinds of records in `journal`: the leaves of a block, its Undo, and heights whose leaves ended with it. */
const LEAVES = 0;
const UNDO = 1;
const ENDED = 2;
const JOURNAL_NAME_AT = 9;
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const STATE = utf8("sys/state");
const PARTIAL = utf8("sys/partial");

/**
 * One LMDB environment: `nodes` (id to node), `flat:<name>` (latest entries), `versions` (height to roots), `orphans`
 * (height to the ids it orphaned), `journal` (kind, height and name to leaves and how to undo them), `meta`. A commit is one write transaction, synced to disk before it returns.
 */
export class LmdbBackend implements Backend {
  readonly #env: RootDatabase<Buffer, Uint8Array>;
  readonly #nodes: Table;
  readonly #versions: Table;
  readonly #orphans: Table;
  readonly #meta: Table;
  readonly #journal: Table;
  readonly #flat = new Map<string, { table: Table; reader: Reader }>();
  readonly #cache: GenerationCache<number, Node>;
  readonly #pruneBudget: number;
  readonly #out = new ByteWriter();
  readonly #idKey = Buffer.alloc(8);
  #latest: Version | undefined;
  #nextId = 1;

  constructor({ path, names, cacheBytes, pruneBudget }: LmdbBackendOptions) {
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
    this.#journal = this.#table("journal");
    for (const name of names) {
      const table = this.#table(`flat:${name}`);
      this.#flat.set(name, { table, reader: new FlatReader(table) });
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
    return this.#flat.get(name)!.reader;
  }

  leaves(name: string, height: number): Uint8Array | undefined {
    return this.#journalRecord(LEAVES, height, name);
  }

  undo(name: string, height: number): Uint8Array | undefined {
    return this.#journalRecord(UNDO, height, name);
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
      this.#putJournal(batch.journal);
      this.#versions.putSync(heightKey(version.height), buffer(encodeVersion(this.#out, version)));
      this.#putOrphans(version.height, batch.orphans);
      for (const [key, value] of batch.meta) this.#meta.putSync(utf8(`app/${key}`), buffer(value));
      const state = this.#out.reset().byte(FORMAT).uvarint(version.height).uvarint(batch.nextId);
      this.#meta.putSync(STATE, buffer(state.view()));
      this.#meta.removeSync(PARTIAL);
      this.#pruneJournal(batch.keepFrom);
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
      this.#putLeaves(leaves);
    });
    for (const ref of created) ref.node = undefined;
  }

  discardPartial(): void {
    if (this.#latest !== undefined) throw corrupt("a partial import lies over a committed state", {});
    this.#env.transactionSync(() => {
      this.#nodes.clearSync();
      this.#journal.clearSync();
      for (const { table } of this.#flat.values()) table.clearSync();
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
      const { table } = this.#flat.get(name)!;
      for (const [key, value] of writes) {
        if (value === undefined) table.removeSync(key);
        else table.putSync(key, buffer(value));
      }
    }
  }

  #journalRecord(kind: number, height: number, name: string): Uint8Array | undefined {
    const record = this.#journal.getBinary(journalKey(kind, height, name));
    return record && plain(record);
  }

  #putLeaves(records: readonly PartialLeaves[]): void {
    for (const { name, height, leaves } of records) {
      if (leaves !== undefined) this.#journal.putSync(journalKey(LEAVES, height, name), buffer(leaves));
    }
  }

  #putJournal(records: readonly JournalRecord[]): void {
    this.#putLeaves(records);
    for (const { name, height, undo, ended } of records) {
      this.#journal.putSync(journalKey(UNDO, height, name), buffer(undo));
      if (ended.length === 0) continue;
      this.#out.reset();
      for (const gone of ended) this.#out.uvarint(gone);
      this.#journal.putSync(journalKey(ENDED, height, name), buffer(this.#out.view()));
    }
  }

  /** What no kept version needs: how to undo blocks up to the first of them, and leaves that ended with these. */
  #pruneJournal(keepFrom: number): void {
    const end = journalKey(UNDO, Math.max(keepFrom, 0) + 1, "");
    const range = { start: journalKey(UNDO, 0, ""), end, limit: VERSIONS_PRUNED_PER_COMMIT };
    for (const found of Array.from(this.#journal.getKeys(range), (key) => Buffer.from(key))) {
      const name = found.toString("latin1", JOURNAL_NAME_AT);
      this.#journal.removeSync(found);
      found[0] = ENDED;
      const ended = this.#journal.getBinary(found);
      if (ended === undefined) continue;
      for (const record = new ByteReader(ended); !record.done; ) {
        this.#journal.removeSync(journalKey(LEAVES, record.uvarint(), name));
      }
      this.#journal.removeSync(found);
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

class FlatReader implements Reader {
  readonly #table: Table;

  constructor(table: Table) {
    this.#table = table;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    if (key.length === 0) return undefined;
    const value = this.#table.getBinary(key);
    return value === undefined ? undefined : plain(value);
  }

  has(key: Uint8Array): boolean {
    return key.length > 0 && this.#table.doesExist(key);
  }

  *iterate({ start, end, reverse = false }: Range = {}): Generator<readonly [Uint8Array, Uint8Array]> {
    if (end?.length === 0) return;
    const first = start === undefined || start.length === 0 ? FIRST_KEY : start;
    // Reversed, LMDB starts from the upper bound and has to be told that the bounds swap what they include.
    const upper = end === undefined ? {} : { start: end, exclusiveStart: true };
    const range = reverse
      ? { reverse, ...upper, end: first, inclusiveEnd: true }
      : { start: first, ...(end === undefined ? {} : { end }) };
    for (const { key, value } of this.#table.getRange(range)) {
      const entry: Change = [plain(Buffer.from(key.buffer, key.byteOffset, key.length)), plain(value)];
      yield entry as readonly [Uint8Array, Uint8Array];
    }
  }
}

/** Beside its bytes a cached node costs objects, two references with hashes, and the map's slot. */
const nodeCost = (_id: number, { key, value }: Node): number => 400 + key.length + (value?.length ?? 0);

function journalKey(kind: number, height: number, name: string): Buffer {
  const key = Buffer.alloc(JOURNAL_NAME_AT + name.length);
  key[0] = kind;
  key.writeBigUInt64BE(BigInt(height), 1);
  key.write(name, JOURNAL_NAME_AT, "latin1");
  return key;
}

const buffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);

const corrupt = (message: string, data: Record<string, unknown>) => new KaratError("corrupt_store", message, data);

import { KaratError, sha256 } from "@karat/common";
import { equalBytes } from "./bytes.ts";
import { ByteReader, ByteWriter } from "./codec.ts";
import { multistoreRoot } from "./iavl/multistore.ts";
import { innerHash, leafHash, Node, Ref } from "./iavl/node.ts";
import { Tree } from "./iavl/tree.ts";
import { JOURNAL_STORE } from "./journal/commitment.ts";
import { JournalImport, malformed } from "./journal/import.ts";
import type { JournalItem } from "./journal/journals.ts";
import { MAX_KEY_BYTES, MAX_VALUE_BYTES } from "./limits.ts";
import { HASH_BYTES } from "./simpleTree.ts";
import { rootHashes, type TreeCommitStore } from "./treeStore.ts";
import type { Change } from "./types.ts";

export const SNAPSHOT_FORMAT = 2;
export const MAX_CHUNK_BYTES = 10_000_000;
/** 640 GB of state; the chunk hashes then fill 2 MiB of the 4 MB that CometBFT lets an offer have. */
export const MAX_CHUNKS = 65_536;

/** What a node offers to its peers; the fields of ABCI's Snapshot. */
export interface SnapshotOffer {
  height: bigint;
  format: number;
  chunks: number;
  /** sha256(format, height, metadata): two offers with the same hash have the same chunks. */
  hash: Uint8Array;
  /** The SHA-256 of every chunk, one after the other. */
  metadata: Uint8Array;
}

/**
 * The stream: per tree, in order of names, a header and the nodes in post-order. A leaf has version, key and value,
 * an inner node its version only: height, size and key (the smallest on its right) follow from the shape, so that
 * nothing is carried that the app hash does not cover. Then per journaled store, in order of names, a header and the
 * blocks that still count: of each its height and its leaves, in order; current ones with key and value, the others
 * as hashes. Records do not cross chunks.
 */
const STORE = 1;
const LEAF = 2;
const INNER = 3;
const JOURNAL = 4;
const BLOCK = 5;
const LIVE = 6;
const DEAD = 7;

/**
 * All stores at a kept height as chunks of at most `chunkBytes` (default 10 MB). The height is held against pruning
 * while the generator runs: end it, or let it finish. Throws `height_unavailable`, also between chunks where the
 * consumer is slower than the store's `holdLimit`.
 */
export function* exportSnapshot(
  store: TreeCommitStore,
  height: bigint,
  chunkBytes = MAX_CHUNK_BYTES,
): Generator<Uint8Array> {
  const release = store.hold(height);
  try {
    let chunk = new ByteWriter();
    for (const record of records(store, height)) {
      if (chunk.length > 0 && chunk.length + record.length > chunkBytes) {
        yield chunk.view();
        // The consumer may have taken so long that the hold has lapsed.
        store.treesAt(height);
        chunk = new ByteWriter();
      }
      chunk.bytes(record);
    }
    yield chunk.view();
  } finally {
    release();
  }
}

/** Each record is valid until the next. */
function* records(store: TreeCommitStore, height: bigint): Generator<Uint8Array> {
  const out = new ByteWriter();
  for (const { name, tree } of store.treesAt(height).trees) {
    const bytes = Buffer.from(name, "utf8");
    yield out.reset().byte(STORE).uvarint(bytes.length).bytes(bytes).view();
    for (const { node } of tree.postOrder()) {
      out.reset();
      if (node.value === undefined) out.byte(INNER).uvarint(node.version);
      else {
        out.byte(LEAF).uvarint(node.version).uvarint(node.key.length).bytes(node.key);
        out.uvarint(node.value.length).bytes(node.value);
      }
      yield out.view();
    }
  }
  for (const name of [...store.journaled].sort()) {
    const bytes = Buffer.from(name, "utf8");
    yield out.reset().byte(JOURNAL).uvarint(bytes.length).bytes(bytes).view();
    for (const item of store.journalAt(name, height)) yield journalRecord(out.reset(), item);
  }
}

function journalRecord(out: ByteWriter, item: JournalItem): Uint8Array {
  if (item.kind === "block") out.byte(BLOCK).uvarint(item.height);
  else if (item.kind === "dead") out.byte(DEAD).bytes(item.hash);
  else {
    out.byte(LIVE).uvarint(item.key.length).bytes(item.key);
    out.uvarint(item.value.length).bytes(item.value);
  }
  return out.view();
}

/** The offer for chunks whose SHA-256 hashes are given in order. */
export function snapshotOffer(height: bigint, chunkHashes: readonly Uint8Array[]): SnapshotOffer {
  const metadata = new Uint8Array(Buffer.concat(chunkHashes));
  const hash = offerHash(SNAPSHOT_FORMAT, height, metadata);
  return { height, format: SNAPSHOT_FORMAT, chunks: chunkHashes.length, hash, metadata };
}

export const chunkHash = (chunk: Uint8Array): Uint8Array => sha256(chunk);

function offerHash(format: number, height: bigint, metadata: Uint8Array): Uint8Array {
  return sha256(new ByteWriter().uvarint(format).uvarint(Number(height)).bytes(metadata).view());
}

/** In place of the next chunk's index when an import has ended. */
const OVER = -1;

interface Subtree {
  ref: Ref;
  version: number;
  /** Smallest key below. */
  first: Uint8Array;
}

/**
 * Fills a fresh store from a snapshot. Chunks come in order and are checked against the offer before they are read;
 * the whole is checked against a trusted app hash before it becomes the state. Until `finish` the store stays fresh.
 */
export class SnapshotImport {
  readonly #store: TreeCommitStore;
  readonly #offer: SnapshotOffer;
  readonly #roots = new Map<string, Ref | undefined>();
  #name: string | undefined;
  #stack: Subtree[] = [];
  #lastKey: Uint8Array | undefined;
  #created: Ref[] = [];
  #entries: Change[] = [];
  #journal: JournalImport | undefined;
  #nextChunk = 0;
  #nextId = 1;

  /** Throws `snapshot_refused` for an offer that cannot be right or another format, `store_not_empty`. */
  constructor(store: TreeCommitStore, offer: SnapshotOffer) {
    const { height, format, chunks, hash, metadata } = offer;
    if (store.height() !== 0n) throw new KaratError("store_not_empty", "snapshots go into a fresh store");
    const known = format === SNAPSHOT_FORMAT && height > 0n && height <= Number.MAX_SAFE_INTEGER;
    const sized = chunks > 0 && chunks <= MAX_CHUNKS && metadata.length === chunks * 32;
    if (!known || !sized || !equalBytes(hash, offerHash(format, height, metadata))) {
      throw new KaratError("snapshot_refused", "the offer is malformed", { height, format, chunks });
    }
    this.#store = store;
    this.#offer = offer;
    store.backend.discardPartial();
  }

  /** Index of the chunk that is due; the number of chunks when all are there; -1 when the import is over. */
  get nextChunk(): number {
    return this.#nextChunk;
  }

  /**
   * Takes the next chunk. Throws `snapshot_chunk_order`; `snapshot_chunk_hash` for bytes that are not the ones
   * offered (ask another peer); `snapshot_malformed` for content that no store exports (the import is then over).
   */
  addChunk(index: number, chunk: Uint8Array): void {
    if (index !== this.#nextChunk || index >= this.#offer.chunks) {
      throw new KaratError("snapshot_chunk_order", "chunks come in order", { index, due: this.#nextChunk });
    }
    const expected = this.#offer.metadata.subarray(index * 32, index * 32 + 32);
    if (!equalBytes(chunkHash(chunk), expected)) {
      throw new KaratError("snapshot_chunk_hash", "the chunk is not the one that was offered", { index });
    }
    try {
      const reader = new ByteReader(chunk, () => malformed("a record is cut off"));
      while (!reader.done) this.#record(reader);
      this.#write();
      this.#nextChunk++;
    } catch (error) {
      this.abort();
      throw error;
    }
  }

  /**
   * Makes the imported state the committed one, with engine-side entries if wanted. Throws `snapshot_incomplete`
   * before all chunks are there, `snapshot_app_hash` where the state is not that of the trusted app hash; the store is
   * then as fresh as before.
   */
  finish(trustedAppHash: Uint8Array, meta: ReadonlyMap<string, Uint8Array> = new Map()): void {
    if (this.#nextChunk !== this.#offer.chunks) {
      throw new KaratError("snapshot_incomplete", "chunks are missing", { due: this.#nextChunk });
    }
    try {
      this.#closeStore();
      if (this.#journals().at(-1) !== this.#journal?.name) throw malformed("a journaled store is missing");
      this.#journal?.close();
      const appHash = multistoreRoot(rootHashes(this.#roots));
      if (!equalBytes(appHash, trustedAppHash)) {
        throw new KaratError("snapshot_app_hash", "the snapshot is not the state of the trusted app hash");
      }
      const height = Number(this.#offer.height);
      const version = { height, appHash, roots: this.#roots };
      const nothing = { created: [], orphans: [], changes: new Map(), journal: [] };
      this.#store.backend.write({ ...nothing, version, nextId: this.#nextId, meta, keepFrom: height });
      this.#nextChunk = OVER;
    } catch (error) {
      this.abort();
      throw error;
    }
  }

  /** Ends the import and removes what it wrote. */
  abort(): void {
    if (this.#nextChunk === OVER) return;
    this.#nextChunk = OVER;
    this.#store.backend.discardPartial();
  }

  #record(reader: ByteReader): void {
    const kind = reader.byte();
    if (kind >= JOURNAL) this.#journalRecord(kind, reader);
    else if (this.#journal !== undefined) throw malformed("a tree follows a journal");
    else if (kind === STORE) this.#openStore(Buffer.from(reader.bytes(reader.uvarint())).toString("latin1"));
    else if (this.#name === undefined) throw malformed("a node belongs to no store");
    else if (kind === LEAF) this.#leaf(reader);
    else if (kind === INNER) this.#inner(this.#version(reader));
    else throw malformed("a record is of no known kind");
  }

  #journalRecord(kind: number, reader: ByteReader): void {
    if (kind === JOURNAL) this.#openJournal(Buffer.from(reader.bytes(reader.uvarint())).toString("latin1"));
    else if (this.#journal === undefined) throw malformed("an entry belongs to no store");
    else if (kind === BLOCK) this.#journal.block(reader.uvarint());
    else if (kind === DEAD) this.#journal.dead(reader.bytes(HASH_BYTES));
    else if (kind === LIVE) {
      const key = new Uint8Array(reader.bytes(reader.uvarint()));
      this.#journal.live(key, new Uint8Array(reader.bytes(reader.uvarint())));
    } else throw malformed("a record is of no known kind");
  }

  /** The trees are there: what a journal's blocks must be is known, as far as the app hash is right. */
  #openJournal(name: string): void {
    this.#closeStore();
    this.#journal?.close();
    const due = this.#journals()[this.#journal === undefined ? 0 : this.#journals().indexOf(this.#journal.name) + 1];
    if (name !== due) throw malformed("journaled stores are not in order");
    const commitments = new Tree(this.#store.backend, this.#roots.get(JOURNAL_STORE));
    this.#journal = new JournalImport(name, this.#store.backend, commitments);
  }

  #journals(): string[] {
    return [...this.#store.journaled].sort();
  }

  #openStore(name: string): void {
    const known = this.#store.names.includes(name) && !this.#store.journaled.includes(name);
    if (!known) throw malformed("a store is not known here");
    this.#closeStore();
    if ([...this.#roots.keys()].some((earlier) => name <= earlier)) throw malformed("stores are not in order");
    this.#name = name;
  }

  /** Writes what is left of the current store and keeps its root. */
  #closeStore(): void {
    if (this.#name === undefined) return;
    if (this.#stack.length > 1) throw malformed("a tree has several roots");
    this.#write();
    this.#roots.set(this.#name, this.#stack[0]?.ref);
    this.#stack = [];
    this.#lastKey = undefined;
    this.#name = undefined;
  }

  #leaf(reader: ByteReader): void {
    const version = this.#version(reader);
    // Copies, for a view would keep the whole chunk in memory.
    const key = new Uint8Array(reader.bytes(reader.uvarint()));
    const value = new Uint8Array(reader.bytes(reader.uvarint()));
    if (key.length === 0 || key.length > MAX_KEY_BYTES || value.length > MAX_VALUE_BYTES) {
      throw malformed("an entry is out of limits");
    }
    if (this.#lastKey !== undefined && Buffer.compare(this.#lastKey, key) >= 0)
      throw malformed("keys are not in order");
    this.#lastKey = key;
    this.#entries.push([key, value]);
    this.#push(new Ref(0, leafHash(key, value, version), 0, 1, new Node(key, value, version)), version, key);
  }

  #inner(version: number): void {
    const right = this.#stack.pop();
    const left = this.#stack.pop();
    if (right === undefined || left === undefined) throw malformed("an inner node lacks children");
    if (version < left.version || version < right.version) throw malformed("a node is older than its children");
    if (Math.abs(left.ref.height - right.ref.height) > 1) throw malformed("a tree is not balanced");
    const height = Math.max(left.ref.height, right.ref.height) + 1;
    const size = left.ref.size + right.ref.size;
    const hash = innerHash(height, size, version, left.ref.hash, right.ref.hash);
    const node = new Node(right.first, undefined, version, left.ref, right.ref);
    this.#push(new Ref(0, hash, height, size, node), version, left.first);
  }

  #push(ref: Ref, version: number, first: Uint8Array): void {
    ref.id = this.#nextId++;
    this.#created.push(ref);
    this.#stack.push({ ref, version, first });
  }

  #version(reader: ByteReader): number {
    const version = reader.uvarint();
    if (version < 1 || version > Number(this.#offer.height)) throw malformed("a node is of no earlier block");
    return version;
  }

  #write(): void {
    this.#journal?.write();
    if (this.#name === undefined || this.#created.length === 0) return;
    this.#store.backend.writePartial(this.#created, new Map([[this.#name, this.#entries]]));
    this.#created = [];
    this.#entries = [];
  }
}

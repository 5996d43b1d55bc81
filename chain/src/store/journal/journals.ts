import { KaratError } from "@karat/common";
import type { Backend, Version } from "../backend.ts";
import { compareBytes, equalBytes } from "../bytes.ts";
import { Tree } from "../iavl/tree.ts";
import { simpleLeaf, simpleRoot } from "../simpleTree.ts";
import type { Change, ChangeSet, Reader } from "../types.ts";
import { decodeKey, JOURNAL_STORE, keysOf, LiveSet, liveKey, rootKey } from "./commitment.ts";
import { EntryReader, placeOf, type ReadPage, valueAt } from "./entry.ts";
import { type HistoryDeps, HistoryReader, placeAt } from "./history.ts";
import { leafProof } from "./proof.ts";
import { BlockLeaves, Undo } from "./records.ts";
import { JOURNAL_WINDOW, type JournalRecord, stageJournal } from "./write.ts";

export interface StagedJournals {
  /** For the backend. */
  records: JournalRecord[];
  /** For the flat tables. */
  places: ChangeSet;
  /** For the tree of commitments, sorted by key. */
  commitments: Change[];
}

/** What a state sync carries of a journaled store, block by block. */
export type JournalItem =
  | { kind: "block"; height: number }
  | { kind: "live"; key: Uint8Array; value: Uint8Array }
  | { kind: "dead"; hash: Uint8Array };

/** The journaled stores of a CommitStore. */
export class Journals {
  readonly names: readonly string[];
  readonly #backend: Backend;
  readonly #readers: ReadonlyMap<string, Reader>;

  constructor(backend: Backend, names: readonly string[]) {
    this.#backend = backend;
    this.names = names;
    this.#readers = new Map(names.map((name) => [name, new EntryReader(backend.reader(name), this.#pages(name))]));
  }

  has(name: string): boolean {
    return this.#readers.has(name);
  }

  /** The committed values. */
  reader(name: string): Reader {
    return this.#readers.get(name)!;
  }

  readerAt(name: string, height: number): Reader {
    return new HistoryReader(this.#history(name), height);
  }

  stage(height: number, changes: ChangeSet, window = JOURNAL_WINDOW): StagedJournals {
    const commitments = this.#backend.reader(JOURNAL_STORE);
    const all: StagedJournals = { records: [], places: new Map(), commitments: [] };
    const places = new Map<string, readonly Change[]>();
    for (const name of this.names) {
      const staged = stageJournal(name, height, changes.get(name) ?? [], {
        places: this.#backend.reader(name),
        value: (place) => valueAt(this.#pages(name), place),
        commitments,
        leaves: (of) => this.#leaves(name, of),
        window,
      });
      if (staged === undefined) continue;
      all.records.push(staged.record);
      all.commitments.push(...staged.commitments);
      places.set(name, staged.places);
    }
    all.commitments.sort((a, b) => compareBytes(a[0], b[0]));
    return { ...all, places };
  }

  /**
   * The steps below the tree of commitments that prove a current entry of a version, and the keys in that tree that
   * they lead to. Throws `absence_not_provable`: a journal has no order in which something could be missing.
   */
  prove(
    name: string,
    version: Version,
    key: Uint8Array,
  ): { value: Uint8Array; data: Uint8Array; rootKey: Uint8Array; liveKey: Uint8Array } {
    const place = placeAt(this.#history(name), version.height, key);
    if (place === undefined) {
      throw new KaratError("absence_not_provable", "a journaled store proves what it holds, not what it lacks", {
        name,
      });
    }
    const { height, index } = place;
    const value = valueAt(this.#pages(name), place);
    const data = leafProof(this.#leaves(name, height), index, key, value);
    return { value, data, rootKey: rootKey(name, height), liveKey: liveKey(name, height) };
  }

  /** Everything of a store at a kept height. Throws `corrupt_store` where commitments and entries differ. */
  *items(name: string, version: Version): Generator<JournalItem> {
    const commitments = new Tree(this.#backend, version.roots.get(JOURNAL_STORE));
    const history = this.#history(name);
    for (const [key, live] of commitments.iterate(keysOf(name))) {
      const { height, root } = decodeKey(key);
      if (root) continue;
      yield { kind: "block", height };
      const set = LiveSet.decode(live);
      const leaves = this.#leaves(name, height);
      for (let index = 0; index < set.size; index++) {
        if (!set.has(index)) yield { kind: "dead", hash: leaves.hashAt(index) };
        else yield { kind: "live", ...current(history, version.height, leaves.key(index)) };
      }
    }
  }

  /** Leaves, commitments and entries of the last version are those of the app hash. Throws `corrupt_store`. */
  verify(name: string, version: Version): void {
    const commitments = new Tree(this.#backend, version.roots.get(JOURNAL_STORE));
    const places = this.#backend.reader(name);
    let current = 0;
    for (const [key, live] of commitments.iterate(keysOf(name))) {
      const { height, root } = decodeKey(key);
      if (root) continue;
      const leaves = this.#leaves(name, height);
      const set = LiveSet.decode(live);
      const expected = commitments.get(rootKey(name, height));
      if (leaves.size !== set.size || expected === undefined || !equalBytes(simpleRoot(leaves.hashes), expected)) {
        throw new KaratError("corrupt_store", "the leaves of a block are not those of the app hash", { name, height });
      }
      for (const index of set) {
        current++;
        const entry = places.get(leaves.key(index));
        const place = entry && placeOf(entry);
        const hash = place && simpleLeaf(leaves.key(index), valueAt(this.#pages(name), place));
        if (place?.height !== height || place.index !== index || !equalBytes(hash!, leaves.hashAt(index))) {
          throw new KaratError("corrupt_store", "an entry is not that of the app hash", { name, height, index });
        }
      }
    }
    for (const _ of places.iterate()) current--;
    if (current !== 0) throw new KaratError("corrupt_store", "there are entries that the app hash lacks", { name });
  }

  #pages(name: string): ReadPage {
    return (height, first) => {
      const page = this.#backend.values(name, height, first);
      if (page === undefined) throw new KaratError("corrupt_store", "values are missing", { name, height, first });
      return page;
    };
  }

  #history(name: string): HistoryDeps {
    const undo = (height: number): Undo | undefined => {
      const record = this.#backend.undo(name, height);
      return record && new Undo(record);
    };
    const places = this.#backend.reader(name);
    return { places, page: this.#pages(name), undo, latest: this.#backend.latest?.height ?? 0 };
  }

  #leaves(name: string, height: number): BlockLeaves {
    const record = this.#backend.leaves(name, height);
    if (record === undefined)
      throw new KaratError("corrupt_store", "the leaves of a block are missing", { name, height });
    return new BlockLeaves(record);
  }
}

function current(history: HistoryDeps, height: number, key: Uint8Array): { key: Uint8Array; value: Uint8Array } {
  const place = placeAt(history, height, key);
  if (place === undefined) throw new KaratError("corrupt_store", "a current entry is missing", { height });
  return { key, value: valueAt(history.page, place) };
}

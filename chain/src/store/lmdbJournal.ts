import type { PartialLeaves } from "./backend.ts";
import { plain } from "./bytes.ts";
import { ByteReader, ByteWriter } from "./codec.ts";
import type { JournalRecord } from "./journal/write.ts";
import { buffer, type Table } from "./lmdbFlat.ts";

/** Kinds of records: the leaves of a block, its Undo, heights whose leaves ended with it, and pages of its leaves' values. */
const LEAVES = 0;
const UNDO = 1;
const ENDED = 2;
const VALUES = 3;
const NAME_AT = 9;
const MAX_U32 = 0xffff_ffff;
const PRUNED_PER_COMMIT = 1000;

/** What blocks wrote to journaled stores: kind, height and name to the record. All writing is inside a transaction. */
export class LmdbJournal {
  readonly #journal: Table;
  readonly #out = new ByteWriter();

  constructor(table: Table) {
    this.#journal = table;
  }

  leaves(name: string, height: number): Uint8Array | undefined {
    return this.#get(journalKey(LEAVES, height, name));
  }

  values(name: string, height: number, first: number): Uint8Array | undefined {
    return this.#get(pageKey(height, name, first));
  }

  undo(name: string, height: number): Uint8Array | undefined {
    return this.#get(journalKey(UNDO, height, name));
  }

  clear(): void {
    this.#journal.clearSync();
  }

  #get(key: Buffer): Uint8Array | undefined {
    const record = this.#journal.getBinary(key);
    return record && plain(record);
  }

  putLeaves(records: readonly PartialLeaves[]): void {
    for (const { name, height, leaves, pages } of records) {
      if (leaves !== undefined) this.#journal.putSync(journalKey(LEAVES, height, name), buffer(leaves));
      for (const { first, values } of pages) this.#journal.putSync(pageKey(height, name, first), buffer(values));
    }
  }

  put(records: readonly JournalRecord[]): void {
    this.putLeaves(records);
    for (const { name, height, undo, ended } of records) {
      this.#journal.putSync(journalKey(UNDO, height, name), buffer(undo));
      if (ended.length === 0) continue;
      this.#out.reset();
      for (const gone of ended) this.#out.uvarint(gone);
      this.#journal.putSync(journalKey(ENDED, height, name), buffer(this.#out.view()));
    }
  }

  /** What no kept version needs: how to undo blocks up to the first of them, and leaves that ended with these. */
  prune(keepFrom: number): void {
    const end = journalKey(UNDO, Math.max(keepFrom, 0) + 1, "");
    const range = { start: journalKey(UNDO, 0, ""), end, limit: PRUNED_PER_COMMIT };
    for (const found of Array.from(this.#journal.getKeys(range), (key) => Buffer.from(key))) {
      const name = found.toString("latin1", NAME_AT);
      this.#journal.removeSync(found);
      found[0] = ENDED;
      const ended = this.#journal.getBinary(found);
      if (ended === undefined) continue;
      for (const record = new ByteReader(ended); !record.done; ) {
        this.#removeLeaves(record.uvarint(), name);
      }
      this.#journal.removeSync(found);
    }
  }

  #removeLeaves(height: number, name: string): void {
    this.#journal.removeSync(journalKey(LEAVES, height, name));
    const range = { start: pageKey(height, name, 0), end: pageKey(height, name, MAX_U32) };
    for (const page of Array.from(this.#journal.getKeys(range), (key) => Buffer.from(key))) {
      this.#journal.removeSync(page);
    }
  }
}

function journalKey(kind: number, height: number, name: string): Buffer {
  const key = Buffer.alloc(NAME_AT + name.length);
  key[0] = kind;
  key.writeBigUInt64BE(BigInt(height), 1);
  key.write(name, NAME_AT, "latin1");
  return key;
}

function pageKey(height: number, name: string, first: number): Buffer {
  const key = Buffer.alloc(NAME_AT + name.length + 5);
  key[0] = VALUES;
  key.writeBigUInt64BE(BigInt(height), 1);
  key.write(name, NAME_AT, "latin1");
  key.writeUInt32BE(first, NAME_AT + name.length + 1);
  return key;
}

import { KaratError } from "@karat/common";
import type { Database } from "lmdb";
import type { NodeDatabase } from "../storage/database.ts";
import { type NewRecord, type RecordKind, type RecordSink, recordKey } from "./record.ts";

/** The transaction that carries a record, and its place among the records there. */
export interface CarryingTx {
  readonly hash: string;
  readonly timeoutHeight: bigint;
  readonly index: number;
}

/** A record on its way to the chain. */
export interface OutboxEntry extends NewRecord {
  /** First height at which it may be (re)sent. */
  readonly notBefore: bigint;
  /** Times that the chain did not know its inference yet, and times that a transaction of it alone was refused. */
  readonly unknownTries: number;
  readonly refusedTries: number;
  /** Of a delivery that no longer awaits its finish: whether that says the same. */
  readonly agrees?: boolean;
  /** The transaction it was last signed into; asked for before anything is sent anew. */
  readonly tx?: CarryingTx;
}

export interface DeadLetter extends OutboxEntry {
  readonly key: string;
  readonly reason: string;
  readonly height: bigint;
}

/** What the relay has to know of an entry, without its bytes. */
export interface Pending {
  readonly key: string;
  readonly deadlineHeight: bigint;
  awaits: NewRecord["awaits"];
  notBefore: bigint;
  /** When it was handed on; undefined while it waits here. */
  handedOnMs: number | undefined;
}

const OUTBOX = "outbox";
const MAX_ENTRIES = 100_000;
const MAX_DEAD_LETTERS = 10_000;
/** Entries that are kept in memory as well: nearly all are sent and gone within seconds. */
const MAX_HELD_BYTES = 64 * 1024 * 1024;

/** Records that are not on chain yet. LMDB is the truth; what the queue holds are only notices that point here. */
export class Outbox implements RecordSink {
  readonly #database: NodeDatabase;
  readonly #entries: Database<OutboxEntry, string>;
  readonly #dead: Database<DeadLetter, string>;
  readonly #pending = new Map<string, Pending>();
  readonly #held = new Map<string, OutboxEntry>();
  #heldBytes = 0;
  readonly #onAdded = new Set<() => void>();

  constructor(database: NodeDatabase) {
    this.#database = database;
    this.#entries = database.open(OUTBOX);
    this.#dead = database.open("dead-letters");
    for (const { key, value } of this.#entries.getRange()) this.#track(key, value);
  }

  get size(): number {
    return this.#pending.size;
  }

  add(record: NewRecord): void {
    const key = recordKey(record.kind, record.inferenceId);
    const entry = this.#place(key, record);
    if (!entry) return;
    void this.#database.log([{ database: OUTBOX, key, value: entry }]);
    if (!this.#held.has(key)) this.#database.now();
    this.#tell();
  }

  hasten(kind: RecordKind, inferenceId: Uint8Array): void {
    const key = recordKey(kind, inferenceId);
    const pending = this.#pending.get(key);
    if (!pending || pending.notBefore === 0n || this.get(key)?.tx) return;
    pending.notBefore = 0n;
    void this.#awaitsNoMore(key, { notBefore: 0n });
  }

  /**
   * What the chain had to show is there: a delivery that agrees with its finish or does not. It is due at once. After a crash, it is asked
   * again.
   */
  async resolve(key: string, agrees: boolean): Promise<void> {
    await this.#awaitsNoMore(key, { agrees });
  }

  async #awaitsNoMore(key: string, change: Pick<Partial<OutboxEntry>, "notBefore" | "agrees">): Promise<void> {
    const entry = this.get(key);
    const pending = this.#pending.get(key);
    if (!entry || !pending) return;
    pending.awaits = undefined;
    const { awaits: _over, ...rest } = entry;
    const changed = { ...rest, ...change };
    if (!this.#hold(key, changed)) await this.#put(key, changed);
    this.#tell();
  }

  /**
   * The entry as it is now; undefined when the record changes nothing. Of two of the same, the earlier counts, and before that the word of
   * the transfer agent: this node may have been called off as an executor by itself, when its own answer was whole already.
   */
  #place(key: string, record: NewRecord): OutboxEntry | undefined {
    const { notBefore = 0n, awaits, decides } = record;
    const pending = this.#pending.get(key);
    if (pending) {
      const known = this.get(key);
      const replaces = decides === true && known?.tx === undefined;
      if (!known || (notBefore >= pending.notBefore && !replaces)) return undefined;
      pending.notBefore = notBefore;
      pending.awaits = awaits;
      const { awaits: _before, ...rest } = known;
      const earlier = { ...rest, record: record.record, notBefore, ...(awaits && { awaits }) };
      this.#hold(key, earlier);
      return earlier;
    }
    if (this.#pending.size >= MAX_ENTRIES) {
      throw new KaratError("overloaded", "Too many records wait for the chain.", { retry_after_s: 5 });
    }
    const entry = { ...record, notBefore, unknownTries: 0, refusedTries: 0 };
    this.#track(key, entry);
    return entry;
  }

  onAdded(listener: () => void): void {
    this.#onAdded.add(listener);
  }

  get(key: string): OutboxEntry | undefined {
    return this.#held.get(key) ?? this.#entries.get(key);
  }

  pending(): IterableIterator<Pending> {
    return this.#pending.values();
  }

  /** Remembers which transaction carries the entries before it is broadcast: writes of one turn are one commit. */
  async signedInto(carried: ReadonlyMap<string, CarryingTx>): Promise<void> {
    await Promise.all(
      [...carried].map(async ([key, tx]) => {
        const entry = this.get(key);
        if (entry) await this.#put(key, { ...entry, tx });
      }),
    );
  }

  /** Keeps an entry for another try from `notBefore` on. */
  async defer(key: string, notBefore: bigint, change: Partial<OutboxEntry> = {}, forgetTx = true): Promise<void> {
    const entry = this.get(key);
    const pending = this.#pending.get(key);
    if (!entry || !pending) return;
    pending.notBefore = notBefore;
    pending.handedOnMs = undefined;
    const { tx, ...rest } = { ...entry, ...change, notBefore };
    await this.#put(key, tx && !forgetTx ? { ...rest, tx } : rest);
  }

  /** It is on chain. */
  async remove(key: string): Promise<void> {
    this.#forget(key);
    this.#database.now();
    await this.#entries.remove(key);
  }

  /** It never will be: kept for the operator to see. */
  async bury(key: string, reason: string, height: bigint): Promise<void> {
    const entry = this.get(key);
    this.#forget(key);
    this.#database.now();
    await this.#entries.transaction(() => {
      void this.#entries.remove(key);
      if (entry) void this.#dead.put(deadKey(height, key), { ...entry, key, reason, height });
      const surplus = this.#dead.getCount() - MAX_DEAD_LETTERS;
      if (surplus > 0) for (const old of this.#dead.getKeys({ limit: surplus })) void this.#dead.remove(old);
    });
  }

  /** Newest first. */
  deadLetters(limit: number): DeadLetter[] {
    return [...this.#dead.getRange({ reverse: true, limit })].map(({ value }) => value);
  }

  get deadCount(): number {
    return this.#dead.getCount();
  }

  /**
   * Puts a dead letter back, to be sent at once. Throws `not_found`, `record_expired` where the chain would not take it any more, or
   * `overloaded`; then it stays where it is.
   */
  async revive(key: string, height: bigint): Promise<void> {
    for (const { key: at, value } of this.#dead.getRange({ reverse: true })) {
      if (value.key !== key) continue;
      const { deadlineHeight } = value;
      if (deadlineHeight < height) {
        const why = `The chain took it up to height ${deadlineHeight}, and is at ${height}: it cannot be recorded any more.`;
        throw new KaratError("record_expired", why, { deadlineHeight, height });
      }
      this.add({ ...value, notBefore: 0n });
      await this.#dead.remove(at);
      return;
    }
    throw new KaratError("not_found", "There is no dead letter with this key.", { key });
  }

  #track(key: string, entry: OutboxEntry): void {
    const { deadlineHeight, notBefore, awaits } = entry;
    this.#pending.set(key, { key, deadlineHeight, awaits, notBefore, handedOnMs: undefined });
    this.#hold(key, entry);
  }

  async #put(key: string, entry: OutboxEntry): Promise<void> {
    this.#hold(key, entry);
    this.#database.now();
    await this.#entries.put(key, entry);
  }

  /** False when there is no room for it in memory. */
  #hold(key: string, entry: OutboxEntry): boolean {
    const before = this.#held.get(key)?.record.length ?? 0;
    const bytes = this.#heldBytes - before + entry.record.length;
    if (before === 0 && bytes > MAX_HELD_BYTES) return false;
    this.#held.set(key, entry);
    this.#heldBytes = bytes;
    return true;
  }

  #forget(key: string): void {
    this.#pending.delete(key);
    this.#heldBytes -= this.#held.get(key)?.record.length ?? 0;
    this.#held.delete(key);
  }

  #tell(): void {
    for (const listener of this.#onAdded) listener();
  }
}

/** Sorts by height. */
const deadKey = (height: bigint, key: string): string => `${height.toString().padStart(20, "0")}-${key}`;

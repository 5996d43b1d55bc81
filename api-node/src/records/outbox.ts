import { KaratError } from "@karat/common";
import type { Database } from "lmdb";
import type { NodeDatabase } from "../storage/database.ts";
import { type NewRecord, type RecordSink, recordKey } from "./record.ts";

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

const MAX_ENTRIES = 100_000;
const MAX_DEAD_LETTERS = 10_000;

/** Records that are not on chain yet. LMDB is the truth; what the queue holds are only notices that point here. */
export class Outbox implements RecordSink {
  readonly #entries: Database<OutboxEntry, string>;
  readonly #dead: Database<DeadLetter, string>;
  readonly #pending = new Map<string, Pending>();
  readonly #onAdded = new Set<() => void>();

  constructor(database: NodeDatabase) {
    this.#entries = database.open("outbox");
    this.#dead = database.open("dead-letters");
    for (const { key, value } of this.#entries.getRange()) this.#track(key, value);
  }

  get size(): number {
    return this.#pending.size;
  }

  /** Resolves when committed. The same record again is no second one. Throws `overloaded` when the outbox is full. */
  async add(record: NewRecord): Promise<void> {
    const key = recordKey(record.kind, record.inferenceId);
    if (this.#pending.has(key)) {
      await this.#hasten(key, record);
      return;
    }
    if (this.#pending.size >= MAX_ENTRIES) {
      throw new KaratError("overloaded", "Too many records wait for the chain.", { retry_after_s: 5 });
    }
    const entry = { ...record, notBefore: record.notBefore ?? 0n, unknownTries: 0, refusedTries: 0 };
    this.#track(key, entry);
    try {
      await this.#entries.put(key, entry);
    } catch (error) {
      this.#pending.delete(key);
      throw error;
    }
    for (const listener of this.#onAdded) listener();
  }

  /** What the chain had to show is there: a delivery that agrees with its finish or does not. It is due at once. */
  async resolve(key: string, agrees: boolean): Promise<void> {
    const entry = this.#entries.get(key);
    const pending = this.#pending.get(key);
    if (!entry || !pending) return;
    pending.awaits = undefined;
    const { awaits: _over, ...rest } = entry;
    await this.#entries.put(key, { ...rest, agrees });
    for (const listener of this.#onAdded) listener();
  }

  /**
   * The earlier of the two counts. What is due at once replaces what would have waited: this node may have been called off as an
   * executor by itself as the transfer agent, whose word is which executor it was.
   */
  async #hasten(key: string, { notBefore = 0n, awaits, record }: NewRecord): Promise<void> {
    const entry = this.#entries.get(key);
    const pending = this.#pending.get(key);
    if (!entry || !pending || notBefore >= pending.notBefore) return;
    pending.notBefore = notBefore;
    pending.awaits = awaits;
    const { awaits: _before, ...rest } = entry;
    await this.#entries.put(key, { ...rest, record, notBefore, ...(awaits && { awaits }) });
    for (const listener of this.#onAdded) listener();
  }

  onAdded(listener: () => void): void {
    this.#onAdded.add(listener);
  }

  get(key: string): OutboxEntry | undefined {
    return this.#entries.get(key);
  }

  pending(): IterableIterator<Pending> {
    return this.#pending.values();
  }

  /** Remembers which transaction carries the entries, in one commit, before it is broadcast. */
  async signedInto(carried: ReadonlyMap<string, CarryingTx>): Promise<void> {
    await this.#entries.transaction(() => {
      for (const [key, tx] of carried) {
        const entry = this.#entries.get(key);
        if (entry) void this.#entries.put(key, { ...entry, tx });
      }
    });
  }

  /** Keeps an entry for another try from `notBefore` on. */
  async defer(key: string, notBefore: bigint, change: Partial<OutboxEntry> = {}, forgetTx = true): Promise<void> {
    const entry = this.#entries.get(key);
    const pending = this.#pending.get(key);
    if (!entry || !pending) return;
    pending.notBefore = notBefore;
    pending.handedOnMs = undefined;
    const { tx, ...rest } = { ...entry, ...change, notBefore };
    await this.#entries.put(key, tx && !forgetTx ? { ...rest, tx } : rest);
  }

  /** It is on chain. */
  async remove(key: string): Promise<void> {
    this.#pending.delete(key);
    await this.#entries.remove(key);
  }

  /** It never will be: kept for the operator to see. */
  async bury(key: string, reason: string, height: bigint): Promise<void> {
    const entry = this.#entries.get(key);
    this.#pending.delete(key);
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

  /** Puts a dead letter back. False when there is none under the key. */
  async revive(key: string): Promise<boolean> {
    for (const { key: at, value } of this.#dead.getRange({ reverse: true })) {
      if (value.key !== key) continue;
      await this.#dead.remove(at);
      await this.add({ ...value, notBefore: 0n });
      return true;
    }
    return false;
  }

  #track(key: string, { deadlineHeight, notBefore, awaits }: OutboxEntry): void {
    this.#pending.set(key, { key, deadlineHeight, awaits, notBefore, handedOnMs: undefined });
  }
}

/** Sorts by height. */
const deadKey = (height: bigint, key: string): string => `${height.toString().padStart(20, "0")}-${key}`;

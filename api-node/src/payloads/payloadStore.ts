import { type Logger, messageOf, toHex } from "@karat/common";
import type { Database } from "lmdb";
import type { NodeDatabase } from "../storage/database.ts";
import type { Put } from "../storage/writeLog.ts";
import type { Payload, PayloadSink } from "./payload.ts";

export interface PayloadStoreOptions {
  readonly log: Logger;
  readonly quotaBytes?: number;
  readonly retentionMs?: number;
  readonly now?: () => number;
}

interface Entry {
  readonly hash: string;
  readonly size: number;
}

const PAYLOADS = "payloads";
const ARRIVALS = "payload-arrivals";
const MAX_PAYLOAD_BYTES = 32 * 1024 * 1024;
/** Entries removed in one go, so that no put takes long. */
const SWEEP = 64;

/** Payloads by hash on disk; the oldest give way when the quota is reached, and all after the retention period. */
export class PayloadStore implements PayloadSink {
  readonly #options: Required<PayloadStoreOptions>;
  readonly #database: NodeDatabase;
  readonly #bytes: Database<Uint8Array, string>;
  /** By time of arrival and hash. */
  readonly #arrivals: Database<Entry, string>;
  #size = 0;
  /** Arrival of the oldest that is kept. */
  #oldest: string | undefined;
  #sweeping = false;

  constructor(database: NodeDatabase, options: PayloadStoreOptions) {
    const defaults = { quotaBytes: 1024 ** 3, retentionMs: 7 * 24 * 3_600_000, now: () => Date.now() };
    this.#options = { ...defaults, ...options };
    this.#database = database;
    this.#bytes = database.open(PAYLOADS);
    this.#arrivals = database.open(ARRIVALS);
    for (const { key, value } of this.#arrivals.getRange()) {
      this.#size += value.size;
      this.#oldest ??= key;
    }
  }

  /** Bytes kept. */
  get size(): number {
    return this.#size;
  }

  get(hash: string): Uint8Array | undefined {
    return this.#bytes.get(hash);
  }

  async put(...payloads: readonly Payload[]): Promise<void> {
    const { quotaBytes, now, log } = this.#options;
    const fitting = payloads.filter(({ bytes }) => bytes.length <= Math.min(quotaBytes, MAX_PAYLOAD_BYTES));
    if (fitting.length < payloads.length) log.warn({ count: payloads.length }, "A payload is too large to be kept.");
    try {
      const puts: Put[] = [];
      for (const { hash, bytes } of fitting) {
        const key = toHex(hash);
        if (this.#bytes.doesExist(key)) continue;
        const arrival = arrivalKey(now(), key);
        puts.push({ database: PAYLOADS, key, value: bytes });
        puts.push({ database: ARRIVALS, key: arrival, value: { hash: key, size: bytes.length } });
        this.#size += bytes.length;
        this.#oldest ??= arrival;
      }
      if (puts.length > 0) await this.#database.log(puts);
      await this.#sweep();
    } catch (error) {
      log.error({ error: messageOf(error) }, "A payload could not be kept.");
    }
  }

  /** Removes what is over time or over the quota, oldest first; one sweep at a time. */
  async #sweep(): Promise<void> {
    const { quotaBytes, retentionMs, now } = this.#options;
    const expired = arrivalKey(now() - retentionMs, "");
    const isOver = (arrival: string): boolean => arrival < expired || this.#size > quotaBytes;
    if (this.#sweeping || this.#oldest === undefined || !isOver(this.#oldest)) return;
    this.#sweeping = true;
    try {
      const removals: Promise<boolean>[] = [];
      this.#oldest = undefined;
      for (const { key, value } of this.#arrivals.getRange({ limit: SWEEP })) {
        if (!isOver(key)) {
          this.#oldest = key;
          break;
        }
        removals.push(this.#arrivals.remove(key), this.#bytes.remove(value.hash));
        this.#size -= value.size;
        this.#oldest = key;
      }
      await Promise.all(removals);
    } finally {
      this.#sweeping = false;
    }
  }
}

const arrivalKey = (atMs: number, hash: string): string => `${String(atMs).padStart(16, "0")}-${hash}`;

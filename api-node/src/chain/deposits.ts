import { KaratError } from "@karat/common";
import type { deposit } from "@karat/proto";
import { spendable } from "./view.ts";

export interface DepositCacheOptions {
  readonly query: (client: string) => Promise<deposit.Deposit | undefined>;
  readonly height: () => bigint;
  readonly maxClients?: number;
  /** Blocks for which an answer counts as fresh. */
  readonly freshBlocks?: bigint;
}

interface Entry {
  deposit: deposit.Deposit | undefined;
  height: bigint;
}

/** A deposit this many times what is needed is believed while it is read again in the background. */
const AMPLE = 4n;

/** Deposits as last read, the least recently used forgotten first. Requests of a client that come together read it once. */
export class DepositCache {
  readonly #options: Required<DepositCacheOptions>;
  readonly #entries = new Map<string, Entry>();
  readonly #reading = new Map<string, Promise<Entry>>();

  constructor(options: DepositCacheOptions) {
    this.#options = { maxClients: 10_000, freshBlocks: 2n, ...options };
  }

  /** Throws `chain_unavailable` only when the deposit was never read. */
  async get(client: string, needed: bigint): Promise<deposit.Deposit | undefined> {
    const known = this.#entries.get(client);
    if (!known) return (await this.#read(client)).deposit;
    this.#entries.delete(client);
    this.#entries.set(client, known); // now the most recently used
    const age = this.#options.height() - known.height;
    const enough = spendable(known.deposit) >= needed;
    if (age <= this.#options.freshBlocks && enough) return known.deposit;
    const reading = this.#read(client);
    if (spendable(known.deposit) >= needed * AMPLE) {
      reading.catch(() => undefined); // the next reader tries again
      return known.deposit;
    }
    return (await reading.catch(() => known)).deposit;
  }

  #read(client: string): Promise<Entry> {
    const running = this.#reading.get(client);
    if (running) return running;
    const reading = this.#query(client).finally(() => this.#reading.delete(client));
    this.#reading.set(client, reading);
    return reading;
  }

  async #query(client: string): Promise<Entry> {
    const height = this.#options.height();
    const entry = { deposit: await this.#options.query(client), height };
    this.#entries.delete(client);
    this.#entries.set(client, entry);
    if (this.#entries.size > this.#options.maxClients) this.#entries.delete(this.#entries.keys().next().value!);
    return entry;
  }
}

/** What running requests of a client may still cost and the chain does not know yet. */
export class Holds {
  readonly #held = new Map<string, bigint>();

  of(client: string): bigint {
    return this.#held.get(client) ?? 0n;
  }

  /**
   * Takes a hold of `amount`; the returned function releases it (once). Throws `insufficient_deposit` when the deposit does not
   * cover it beside the holds that stand.
   */
  take(client: string, amount: bigint, of: deposit.Deposit | undefined): () => void {
    const available = spendable(of) - this.of(client);
    if (available < amount) {
      const data = { needed: amount, available: available < 0n ? 0n : available };
      const message = `The deposit does not cover this request: ${amount} ukarat needed at most, ${data.available} available.`;
      throw new KaratError("insufficient_deposit", message, data);
    }
    this.#held.set(client, this.of(client) + amount);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      const rest = this.of(client) - amount;
      if (rest > 0n) this.#held.set(client, rest);
      else this.#held.delete(client);
    };
  }
}

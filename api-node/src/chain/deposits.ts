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

/** What one request holds of a deposit. */
export interface Hold {
  /** It was begun, and its start is on its way to the chain: until deposits show it there, it counts here. */
  begun(): void;
  /** Gives it back: at once when nothing was begun. */
  release(): void;
}

/** Blocks until a start is on chain and no deposit is in use that was read before it. */
const HOLD_BLOCKS = 6n;

interface Released {
  readonly client: string;
  readonly until: bigint;
  amount: bigint;
}

/**
 * What requests of a client may still cost and the chain, or the deposit as last read from it, does not know yet. While the chain
 * stands still, so do the holds of what was begun: nothing is promised twice.
 */
export class Holds {
  readonly #height: () => bigint;
  readonly #held = new Map<string, bigint>();
  /** In order of height; one entry for each client and height. */
  readonly #released: Released[] = [];

  constructor(height: () => bigint) {
    this.#height = height;
  }

  of(client: string): bigint {
    const height = this.#height();
    while (this.#released[0] && this.#released[0].until <= height) this.#give(this.#released.shift()!);
    return this.#held.get(client) ?? 0n;
  }

  /** Throws `insufficient_deposit` when the deposit does not cover `amount` beside the holds that stand. */
  take(client: string, amount: bigint, of: deposit.Deposit | undefined): Hold {
    const available = spendable(of) - this.of(client);
    if (available < amount) {
      const data = { needed: amount, available: available < 0n ? 0n : available };
      const message = `The deposit does not cover this request: ${amount} ukarat needed at most, ${data.available} available.`;
      throw new KaratError("insufficient_deposit", message, data);
    }
    this.#held.set(client, this.of(client) + amount);
    let held = true;
    let begun = false;
    return {
      begun: () => {
        begun = true;
      },
      release: () => {
        if (!held) return;
        held = false;
        if (begun) this.#giveLater(client, amount);
        else this.#give({ client, amount });
      },
    };
  }

  #giveLater(client: string, amount: bigint): void {
    const until = this.#height() + HOLD_BLOCKS;
    const same = this.#released.findLast((entry) => entry.until !== until || entry.client === client);
    if (same?.client === client && same.until === until) same.amount += amount;
    else this.#released.push({ client, until, amount });
  }

  #give({ client, amount }: Pick<Released, "client" | "amount">): void {
    const rest = (this.#held.get(client) ?? 0n) - amount;
    if (rest > 0n) this.#held.set(client, rest);
    else this.#held.delete(client);
  }
}

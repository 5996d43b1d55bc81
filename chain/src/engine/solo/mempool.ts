import { KaratError, toHex } from "@karat/common";
import { CheckTxType, RequestCheckTx, ResponseCheckTx } from "cosmjs-types/tendermint/abci/types";
import type { Application } from "../abci.ts";
import { sha256 } from "../consensus/merkle.ts";
import { type BlockLimits, txProtoBytes } from "./proposal.ts";

export interface MempoolLimits {
  readonly maxTxs: number;
  readonly maxTotalBytes: number;
  readonly maxTxBytes: number;
  /** How many recent transaction hashes are remembered to recognise a duplicate. */
  readonly cacheSize: number;
}

/** CometBFT v0.38's defaults. */
export const DEFAULT_LIMITS: MempoolLimits = {
  maxTxs: 5_000,
  maxTotalBytes: 64 * 1024 * 1024,
  maxTxBytes: 1024 * 1024,
  cacheSize: 10_000,
};

interface Pending {
  readonly tx: Uint8Array;
  readonly gasWanted: bigint;
}

/** The SDK's code for a transaction that is already known, from codespace `sdk`. */
const DUPLICATE = { code: 19, codespace: "sdk", log: "tx already in mempool" };

/**
 * Transactions that passed CheckTx and wait for a block, in the order they passed. Bounded in number and bytes. All calls to
 * the application must be made from the engine's serial queue: `add` and `update` expect that of their caller.
 */
export class Mempool {
  readonly #application: Application;
  readonly #limits: MempoolLimits;
  readonly #pending = new Map<string, Pending>();
  // Insertion order is age: the first key is the one that goes when the cache is full.
  readonly #seen = new Set<string>();
  #bytes = 0;
  #block: BlockLimits = { maxBytes: 0n, maxGas: -1n };

  constructor(application: Application, limits: MempoolLimits = DEFAULT_LIMITS) {
    this.#application = application;
    this.#limits = limits;
  }

  get size(): number {
    return this.#pending.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** What the next block can hold: a transaction over it could never leave and would hold up those behind it. */
  setBlockLimits(limits: BlockLimits): void {
    this.#block = limits;
  }

  /** The first `limit` transactions, in order. */
  list(limit: number): Uint8Array[] {
    return [...this.#pending.values()].slice(0, limit).map(({ tx }) => tx);
  }

  /**
   * Checks a transaction and keeps it when the application accepts. A duplicate is answered with code 19 and not checked again.
   * Throws `mempool/tx-too-large`, `mempool/too-much-gas` and `mempool/full`.
   */
  async add(tx: Uint8Array): Promise<ResponseCheckTx> {
    const { maxTxBytes, maxTxs, maxTotalBytes } = this.#limits;
    if (tx.length > maxTxBytes || txProtoBytes(tx) > this.#block.maxBytes) {
      const max = Math.min(maxTxBytes, Number(this.#block.maxBytes));
      throw new KaratError("mempool/tx-too-large", `Tx too large. Max size is ${max}, but got ${tx.length}`);
    }
    if (this.#pending.size >= maxTxs || this.#bytes + tx.length > maxTotalBytes) {
      throw new KaratError(
        "mempool/full",
        `mempool is full: number of txs ${this.#pending.size} (max: ${maxTxs}), total txs bytes ${this.#bytes} (max: ${maxTotalBytes})`,
      );
    }
    const key = toHex(sha256(tx));
    if (this.#seen.has(key)) return ResponseCheckTx.fromPartial(DUPLICATE);
    this.#remember(key);
    const answer = await this.#application.checkTx(RequestCheckTx.fromPartial({ tx, type: CheckTxType.NEW }));
    if (answer.code !== 0) {
      this.#seen.delete(key);
      return answer;
    }
    const { maxGas } = this.#block;
    if (maxGas >= 0n && answer.gasWanted > maxGas) {
      this.#seen.delete(key);
      throw new KaratError("mempool/too-much-gas", `gas wanted ${answer.gasWanted} is greater than max gas ${maxGas}`);
    }
    this.#pending.set(key, { tx, gasWanted: answer.gasWanted });
    this.#bytes += tx.length;
    return answer;
  }

  /** What fits into a block: in order, until the next would pass a limit. `maxGas` -1 is no limit. */
  reap(maxBytes: bigint, maxGas: bigint): Uint8Array[] {
    const txs: Uint8Array[] = [];
    let bytes = 0n;
    let gas = 0n;
    for (const { tx, gasWanted } of this.#pending.values()) {
      bytes += txProtoBytes(tx);
      gas += gasWanted;
      if (bytes > maxBytes || (maxGas >= 0n && gas > maxGas)) break;
      txs.push(tx);
    }
    return txs;
  }

  /** Takes out what a block included (`ok` by position) and checks the rest against the new state. */
  async update(txs: readonly Uint8Array[], ok: readonly boolean[]): Promise<void> {
    txs.forEach((tx, index) => {
      const key = toHex(sha256(tx));
      // One that failed may be sent again, for it may succeed later.
      if (ok[index]) this.#remember(key);
      else this.#seen.delete(key);
      this.#drop(key);
    });
    for (const [key, { tx }] of [...this.#pending]) {
      const answer = await this.#application.checkTx(RequestCheckTx.fromPartial({ tx, type: CheckTxType.RECHECK }));
      if (answer.code === 0) continue;
      this.#drop(key);
      this.#seen.delete(key);
    }
  }

  #drop(key: string): void {
    const pending = this.#pending.get(key);
    if (pending === undefined) return;
    this.#pending.delete(key);
    this.#bytes -= pending.tx.length;
  }

  #remember(key: string): void {
    this.#seen.delete(key);
    this.#seen.add(key);
    for (const oldest of this.#seen) {
      if (this.#seen.size <= this.#limits.cacheSize) break;
      this.#seen.delete(oldest);
    }
  }
}

import { ChainError, SDK } from "./errors.ts";
import type { GasMeter } from "./module.ts";

/**
 * What things cost: about 40 gas per microsecond of execution, measured on transfers and on batches of records.
 * `gas_used` is part of the block's result hash: changing a number here changes consensus.
 */
export const GAS = {
  txByte: 10n,
  signature: 1000n,
  read: 100n,
  write: 1500n,
  delete: 500n,
  iterateStep: 100n,
  /** In a simulation: what the missing signature has in bytes, with its tag, and what the missing fee reads and writes. */
  simulatedSignature: 660n,
  simulatedFee: 6000n,
} as const;

/** Most gas one query or simulation may use: what bounds the work of a request that nobody paid for. */
export const QUERY_GAS_LIMIT = 100_000_000n;

/** A meter that throws ChainError `out_of_gas` once more than `limit` is used. */
export class LimitedGas implements GasMeter {
  readonly limit: bigint;
  #used = 0n;

  constructor(limit: bigint) {
    this.limit = limit;
  }

  get used(): bigint {
    return this.#used;
  }

  consume(amount: bigint, what: string): void {
    this.#used += amount;
    if (this.#used > this.limit) {
      throw new ChainError(
        SDK.outOfGas,
        `out of gas in location: ${what}; gasWanted: ${this.limit}, gasUsed: ${this.#used}: out of gas`,
      );
    }
  }
}

/** For what a block does by itself: its loops have budgets of their own. */
export class UnlimitedGas implements GasMeter {
  readonly limit = 0xffff_ffff_ffff_ffffn;
  #used = 0n;

  get used(): bigint {
    return this.#used;
  }

  consume(amount: bigint): void {
    this.#used += amount;
  }
}

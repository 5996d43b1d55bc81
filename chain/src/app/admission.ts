import type { Lane } from "./ante.ts";

/** Transactions that a node's mempool may hold. CometBFT's own default is 5,000 for all together. */
export interface MempoolShares {
  /** Most that pay a fee; the rest stays free for records, without which nobody is paid. */
  readonly fee: number;
  /** Most of one signer, whichever lane. */
  readonly signer: number;
}

export const MEMPOOL_SHARES: MempoolShares = { fee: 3_500, signer: 500 };

/**
 * Who waits in this node's mempool, so that neither those who pay nor a single signer can fill it. Counted from commit to
 * commit: the engine checks what still waits again after each of them. A transaction counts for its first signer.
 */
export class Admission {
  readonly #shares: MempoolShares;
  readonly #signers = new Map<string, number>();
  #fee = 0;

  constructor(shares: MempoolShares = MEMPOOL_SHARES) {
    this.#shares = shares;
  }

  /** Whose share is used up; undefined where there is room. */
  full(lane: Lane, signer: string): "lane" | "signer" | undefined {
    if (lane === "fee" && this.#fee >= this.#shares.fee) return "lane";
    return (this.#signers.get(signer) ?? 0) >= this.#shares.signer ? "signer" : undefined;
  }

  add(lane: Lane, signer: string): void {
    if (lane === "fee") this.#fee++;
    this.#signers.set(signer, (this.#signers.get(signer) ?? 0) + 1);
  }

  reset(): void {
    this.#fee = 0;
    this.#signers.clear();
  }
}

export interface HedgeOptions {
  /** Most hedges for each request, on the average. */
  readonly share?: number;
  /** Most hedges in a row. */
  readonly burst?: number;
}

/**
 * How many requests may be sent to a second executor: a share of all, with a burst. When everything is slow, hedging would only add load;
 * then the budget is spent and requests wait as without it.
 */
export class HedgeBudget {
  readonly #share: number;
  readonly #burst: number;
  #left: number;

  constructor({ share = 0.1, burst = 10 }: HedgeOptions = {}) {
    this.#share = share;
    this.#burst = burst;
    this.#left = burst;
  }

  /** A request came in. */
  earn(): void {
    this.#left = Math.min(this.#burst, this.#left + this.#share);
  }

  /** False when the budget is spent. */
  take(): boolean {
    if (this.#left < 1) return false;
    this.#left--;
    return true;
  }
}

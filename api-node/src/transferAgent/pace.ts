export interface PaceOptions {
  /** Silence that is never taken for a stall. */
  readonly leastMs: number;
  /** Silence that always is. */
  readonly mostMs: number;
}

/** A stall is this many times the usual pause and its deviation: a pause costs the client less than another prefill. */
const TIMES = 8;

/** How long an answer may be silent before another executor goes on: from the pauses between its own tokens so far (RFC 6298). */
export class Pace {
  readonly #options: PaceOptions;
  #meanMs = 0;
  #deviationMs = 0;
  #tokens = 0;

  constructor(options: PaceOptions) {
    this.#options = options;
  }

  /** A token came after so long. The first one's wait is the prompt's, not a pause. */
  token(afterMs: number): void {
    this.#tokens++;
    if (this.#tokens === 1) return;
    if (this.#tokens === 2) this.#meanMs = afterMs;
    this.#deviationMs += (Math.abs(afterMs - this.#meanMs) - this.#deviationMs) / 4;
    this.#meanMs += (afterMs - this.#meanMs) / 8;
  }

  /** Until the first pause is known, only the longest silence counts. */
  stallMs(): number {
    const { leastMs, mostMs } = this.#options;
    if (this.#tokens === 0) return mostMs;
    return Math.min(mostMs, Math.max(leastMs, TIMES * (this.#meanMs + 4 * this.#deviationMs)));
  }
}

export interface ReceiptTimeoutOptions {
  readonly leastMs?: number;
  readonly mostMs?: number;
  readonly leastHedgeMs?: number;
  readonly mostHedgeMs?: number;
  readonly maxExecutors?: number;
}

interface Estimate {
  meanMs: number;
  deviationMs: number;
  /** Doubles with each timeout in a row. */
  backoff: number;
  /** The latest waits in a ring, and their 95th percentile. */
  readonly recent: number[];
  place: number;
  p95Ms: number;
}

/** Waits that the percentile is taken of. */
const RECENT = 40;

/**
 * How long to wait for an executor's receipt. Until it is given up: mean plus four deviations of its earlier ones, both moving averages
 * (the estimator of RFC 6298). Until another executor is asked beside it: the 95th percentile of its latest ones. Both within bounds; a
 * stranger gets the longest wait.
 */
export class ReceiptTimeouts {
  readonly #options: Required<ReceiptTimeoutOptions>;
  readonly #estimates = new Map<string, Estimate>();

  constructor(options: ReceiptTimeoutOptions = {}) {
    const bounds = { leastMs: 250, mostMs: 5_000, leastHedgeMs: 50, mostHedgeMs: 1_000, maxExecutors: 4_096 };
    this.#options = { ...bounds, ...options };
  }

  of(executor: string): number {
    const { leastMs, mostMs } = this.#options;
    const known = this.#estimates.get(executor);
    if (!known) return mostMs;
    return within((known.meanMs + 4 * known.deviationMs) * known.backoff, leastMs, mostMs);
  }

  /** For an executor behind whom there is nobody. */
  get longest(): number {
    return this.#options.mostMs;
  }

  /** After so long without a receipt another executor may be asked as well. */
  hedgeOf(executor: string): number {
    const { leastHedgeMs, mostHedgeMs } = this.#options;
    const known = this.#estimates.get(executor);
    return known ? within(known.p95Ms, leastHedgeMs, mostHedgeMs) : mostHedgeMs;
  }

  answered(executor: string, tookMs: number): void {
    const known = this.#estimates.get(executor);
    if (known) {
      known.deviationMs += (Math.abs(tookMs - known.meanMs) - known.deviationMs) / 4;
      known.meanMs += (tookMs - known.meanMs) / 8;
      known.backoff = 1;
      this.#remember(known, tookMs);
      return;
    }
    const { maxExecutors } = this.#options;
    if (this.#estimates.size >= maxExecutors) this.#estimates.delete(this.#estimates.keys().next().value!);
    const first = { meanMs: tookMs, deviationMs: tookMs / 2, backoff: 1, recent: [tookMs], place: 1, p95Ms: tookMs };
    this.#estimates.set(executor, first);
  }

  /** It was called off after so long, because another was faster: its receipt would have taken longer still. */
  outrun(executor: string, afterMs: number): void {
    const known = this.#estimates.get(executor);
    if (known) this.#remember(known, afterMs);
  }

  timedOut(executor: string): void {
    const known = this.#estimates.get(executor);
    if (known) known.backoff = Math.min(64, known.backoff * 2);
  }

  #remember(known: Estimate, tookMs: number): void {
    known.recent[known.place] = tookMs;
    known.place = (known.place + 1) % RECENT;
    const sorted = known.recent.toSorted((a, b) => a - b);
    known.p95Ms = sorted[Math.ceil(0.95 * sorted.length) - 1]!;
  }
}

const within = (value: number, least: number, most: number): number => Math.min(most, Math.max(least, value));

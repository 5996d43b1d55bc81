import { KaratError } from "@karat/common";

export interface LimitOptions {
  /** Requests of one client that may run at once, and of all clients together. */
  readonly concurrency?: number;
  readonly totalConcurrency?: number;
  /** Requests of one client per minute; the bucket holds one minute's worth. */
  readonly perMinute?: number;
  readonly maxClients?: number;
  readonly now?: () => number;
}

interface Bucket {
  tokens: number;
  atMs: number;
  running: number;
}

const MINUTE_MS = 60_000;

/** Rate and concurrency of clients: a token bucket each, and a count of what runs. */
export class ClientLimits {
  readonly #options: Required<LimitOptions>;
  readonly #buckets = new Map<string, Bucket>();
  #running = 0;

  constructor(options: LimitOptions = {}) {
    const defaults = { concurrency: 64, totalConcurrency: 1_024, perMinute: 6_000, maxClients: 10_000 };
    this.#options = { ...defaults, now: () => performance.now(), ...options };
  }

  get running(): number {
    return this.#running;
  }

  /** Takes a place; the returned function gives it back. Throws `rate_limit_exceeded` with `retry_after_s`. */
  enter(client: string): () => void {
    const { concurrency, totalConcurrency } = this.#options;
    const bucket = this.#bucket(client);
    if (this.#running >= totalConcurrency || bucket.running >= concurrency) {
      throw new KaratError("rate_limit_exceeded", "Too many requests at once.", { retry_after_s: 1 });
    }
    if (bucket.tokens < 1) {
      const retryAfterS = this.#untilS(bucket, 1);
      throw new KaratError("rate_limit_exceeded", "Too many requests per minute.", { retry_after_s: retryAfterS });
    }
    bucket.tokens -= 1;
    bucket.running++;
    this.#running++;
    let inside = true;
    return () => {
      if (!inside) return;
      inside = false;
      bucket.running--;
      this.#running--;
    };
  }

  /** `x-ratelimit-*` as OpenAI names them. */
  headers(client: string): Record<string, string> {
    const bucket = this.#bucket(client);
    const { perMinute } = this.#options;
    return {
      "x-ratelimit-limit-requests": String(perMinute),
      "x-ratelimit-remaining-requests": String(Math.max(0, Math.floor(bucket.tokens))),
      "x-ratelimit-reset-requests": `${Math.ceil(this.#untilS(bucket, perMinute))}s`,
    };
  }

  #untilS(bucket: Bucket, tokens: number): number {
    return (Math.max(0, tokens - bucket.tokens) * 60) / this.#options.perMinute;
  }

  #bucket(client: string): Bucket {
    const { now, perMinute, maxClients } = this.#options;
    const atMs = now();
    const known = this.#buckets.get(client);
    if (known) {
      known.tokens = Math.min(perMinute, known.tokens + ((atMs - known.atMs) * perMinute) / MINUTE_MS);
      known.atMs = atMs;
      return known;
    }
    if (this.#buckets.size >= maxClients) this.#forgetIdle();
    const bucket = { tokens: perMinute, atMs, running: 0 };
    this.#buckets.set(client, bucket);
    return bucket;
  }

  /** The oldest client with nothing running makes room; what runs is bounded by itself. */
  #forgetIdle(): void {
    for (const [client, { running }] of this.#buckets) {
      if (running > 0) continue;
      this.#buckets.delete(client);
      return;
    }
  }
}

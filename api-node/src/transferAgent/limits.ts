import { KaratError } from "@karat/common";

export interface LimitOptions {
  /** Requests of one client that may run at once, and of all clients together. */
  readonly concurrency?: number;
  readonly totalConcurrency?: number;
  /** Requests of one client per minute; the bucket holds one minute's worth. */
  readonly perMinute?: number;
  /** Tokens of one client per minute, prompt and answer together; likewise. */
  readonly tokensPerMinute?: number;
  readonly maxClients?: number;
  readonly now?: () => number;
}

/** One request among those of its client. */
export interface Visit {
  /**
   * Takes the most tokens that the request may use, once: a second order for the same request takes nothing more. One that is larger than
   * the bucket waits until that is full. Throws `rate_limit_exceeded` with `retry_after_s`.
   */
  takeTokens(most: number): void;
  /** Tokens that were used after all; the others are given back in the end. */
  usedTokens(count: number): void;
  /** Gives the place back. */
  leave(): void;
}

interface Client {
  readonly requests: Bucket;
  readonly tokens: Bucket;
  running: number;
}

const MINUTE_MS = 60_000;

/** Fills evenly, to one minute's worth at most; may be owed to. */
class Bucket {
  readonly perMinute: number;
  #left: number;
  #atMs: number;

  constructor(perMinute: number, nowMs: number) {
    this.perMinute = perMinute;
    this.#left = perMinute;
    this.#atMs = nowMs;
  }

  add(amount: number, nowMs: number): void {
    this.#left = Math.min(this.perMinute, this.left(nowMs) + amount);
    this.#atMs = nowMs;
  }

  left(nowMs: number): number {
    return Math.min(this.perMinute, this.#left + ((nowMs - this.#atMs) * this.perMinute) / MINUTE_MS);
  }

  /** Seconds until so much is there. */
  untilS(amount: number, nowMs: number): number {
    return (Math.max(0, amount - this.left(nowMs)) * 60) / this.perMinute;
  }
}

/** Rate and concurrency of clients: a bucket of requests and one of tokens each, and a count of what runs. */
export class ClientLimits {
  readonly #options: Required<LimitOptions>;
  readonly #clients = new Map<string, Client>();
  #running = 0;

  constructor(options: LimitOptions = {}) {
    const defaults = { concurrency: 64, totalConcurrency: 1_024, perMinute: 6_000, maxClients: 10_000 };
    this.#options = { ...defaults, tokensPerMinute: 60_000_000, now: () => performance.now(), ...options };
  }

  get running(): number {
    return this.#running;
  }

  /** Takes a place. Throws `rate_limit_exceeded` with `retry_after_s`. */
  enter(address: string): Visit {
    const { concurrency, totalConcurrency, now } = this.#options;
    const client = this.#client(address);
    if (this.#running >= totalConcurrency || client.running >= concurrency) {
      throw new KaratError("rate_limit_exceeded", "Too many requests at once.", { retry_after_s: 1 });
    }
    take(client.requests, 1, now(), "Too many requests per minute.");
    client.running++;
    this.#running++;
    let inside = true;
    let taken: number | undefined;
    let used = 0;
    return {
      takeTokens: (most) => {
        if (taken !== undefined) return;
        take(
          client.tokens,
          most,
          now(),
          "Too many tokens per minute: those of the prompt and all that the answer may have count.",
        );
        taken = most;
      },
      usedTokens: (count) => {
        used += count;
      },
      leave: () => {
        if (!inside) return;
        inside = false;
        client.running--;
        this.#running--;
        if (taken !== undefined) client.tokens.add(taken - used, now());
      },
    };
  }

  /** `x-ratelimit-*` as OpenAI names them. */
  headers(address: string): Record<string, string> {
    const client = this.#client(address);
    const nowMs = this.#options.now();
    const headers: Record<string, string> = {};
    for (const kind of ["requests", "tokens"] as const) {
      const bucket = client[kind];
      headers[`x-ratelimit-limit-${kind}`] = String(bucket.perMinute);
      headers[`x-ratelimit-remaining-${kind}`] = String(Math.max(0, Math.floor(bucket.left(nowMs))));
      headers[`x-ratelimit-reset-${kind}`] = duration(bucket.untilS(bucket.perMinute, nowMs));
    }
    return headers;
  }

  #client(address: string): Client {
    const { now, perMinute, tokensPerMinute, maxClients } = this.#options;
    const known = this.#clients.get(address);
    if (known) return known;
    if (this.#clients.size >= maxClients) this.#forgetIdle();
    const client = {
      requests: new Bucket(perMinute, now()),
      tokens: new Bucket(tokensPerMinute, now()),
      running: 0,
    };
    this.#clients.set(address, client);
    return client;
  }

  /** The oldest client with nothing running makes room; what runs is bounded by itself. */
  #forgetIdle(): void {
    for (const [address, { running }] of this.#clients) {
      if (running > 0) continue;
      this.#clients.delete(address);
      return;
    }
  }
}

function take(bucket: Bucket, amount: number, nowMs: number, message: string): void {
  const waitS = bucket.untilS(Math.min(amount, bucket.perMinute), nowMs);
  if (waitS > 0) throw new KaratError("rate_limit_exceeded", message, { retry_after_s: waitS });
  bucket.add(-amount, nowMs);
}

/** Whole seconds as Go prints durations: `6m0s`. */
function duration(seconds: number): string {
  const whole = Math.ceil(seconds);
  return whole < 60 ? `${whole}s` : `${Math.floor(whole / 60)}m${whole % 60}s`;
}

import { KaratError } from "../errors.ts";

export interface ReplayGuardOptions {
  /** How long a nonce is remembered; at least twice the clock window, for a request may come from the future. */
  readonly windowMs: number;
  /** Nonces remembered in all, and of one sender. When full, requests are refused rather than nonces forgotten. */
  readonly maxNonces?: number;
  readonly maxNoncesPerSender?: number;
}

/** Remembers which nonces were used lately. Only requests whose signature holds should come here. */
export class ReplayGuard {
  readonly #windowMs: number;
  readonly #maxNonces: number;
  readonly #maxPerSender: number;
  /** In order of insertion, hence of expiry. */
  readonly #seen = new Map<string, { readonly sender: string; readonly expiresMs: number }>();
  readonly #perSender = new Map<string, number>();

  constructor(options: ReplayGuardOptions) {
    this.#windowMs = options.windowMs;
    this.#maxNonces = options.maxNonces ?? 200_000;
    this.#maxPerSender = options.maxNoncesPerSender ?? 50_000;
  }

  get size(): number {
    return this.#seen.size;
  }

  /** Throws `peer_replayed` when the nonce was used before and `peer_overloaded` when there is no room to remember it. */
  use(sender: string, nonce: string, nowMs: number): void {
    this.#forgetExpired(nowMs);
    const key = `${sender}/${nonce}`;
    if (this.#seen.has(key)) throw new KaratError("peer_replayed", "This request was made before.", { sender });
    const count = this.#perSender.get(sender) ?? 0;
    if (this.#seen.size >= this.#maxNonces || count >= this.#maxPerSender) {
      throw new KaratError("peer_overloaded", "Too many requests within the replay window.", { sender });
    }
    this.#seen.set(key, { sender, expiresMs: nowMs + this.#windowMs });
    this.#perSender.set(sender, count + 1);
  }

  #forgetExpired(nowMs: number): void {
    for (const [key, { sender, expiresMs }] of this.#seen) {
      if (expiresMs > nowMs) return;
      this.#seen.delete(key);
      const count = (this.#perSender.get(sender) ?? 1) - 1;
      if (count === 0) this.#perSender.delete(sender);
      else this.#perSender.set(sender, count);
    }
  }
}

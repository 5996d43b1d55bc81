import { KaratError } from "@karat/common";

/** An answer that was not streamed, as it is sent. */
export interface WholeAnswer {
  readonly headers: Record<string, string>;
  /** JSON. */
  readonly body: string;
}

export interface AnswerIdentity {
  readonly client: string;
  /** The client's `Idempotency-Key`. */
  readonly key: string;
  /** What was asked for; the same key with another is a mistake of the client. */
  readonly body: string;
}

export interface IdempotencyOptions {
  readonly keepMs?: number;
  readonly maxAnswers?: number;
  readonly maxBytes?: number;
  readonly now?: () => number;
}

interface Kept {
  readonly body: string;
  readonly answer: Promise<WholeAnswer>;
  readonly expiresMs: number;
  bytes: number;
}

const MAX_KEY_LENGTH = 255;

/**
 * Answers by idempotency key, for 24 hours or until there is no more room, in this process's memory. A request that comes while the first runs waits for
 * its answer; one that failed is forgotten, so that it can be tried again.
 */
export class IdempotentAnswers {
  readonly #options: Required<IdempotencyOptions>;
  /** In order of arrival, hence of expiry. */
  readonly #kept = new Map<string, Kept>();
  #bytes = 0;

  constructor(options: IdempotencyOptions = {}) {
    const defaults = { keepMs: 24 * 3_600_000, maxAnswers: 10_000, maxBytes: 64 * 1024 ** 2, now: () => Date.now() };
    this.#options = { ...defaults, ...options };
  }

  /** Throws `idempotency_mismatch` when the key was used for another request, and whatever `make` throws. */
  async get(identity: AnswerIdentity, make: () => Promise<WholeAnswer>): Promise<WholeAnswer> {
    const { client, key, body } = identity;
    if (key.length > MAX_KEY_LENGTH) {
      throw new KaratError("invalid_request", "The idempotency key is too long.", { param: "Idempotency-Key" });
    }
    this.#forget();
    const at = `${client}/${key}`;
    const known = this.#kept.get(at);
    if (known) {
      if (known.body !== body) {
        throw new KaratError("idempotency_mismatch", "This idempotency key was used for another request.");
      }
      return await known.answer;
    }
    const { keepMs, now } = this.#options;
    const kept: Kept = { body, answer: make(), expiresMs: now() + keepMs, bytes: 0 };
    this.#kept.set(at, kept);
    try {
      const answer = await kept.answer;
      if (this.#kept.get(at) === kept) {
        kept.bytes = answer.body.length;
        this.#bytes += kept.bytes;
        this.#forget();
      }
      return answer;
    } catch (error) {
      if (this.#kept.get(at) === kept) this.#kept.delete(at);
      throw error;
    }
  }

  #forget(): void {
    const { maxAnswers, maxBytes, now } = this.#options;
    const at = now();
    for (const [key, { expiresMs, bytes }] of this.#kept) {
      if (expiresMs > at && this.#kept.size <= maxAnswers && this.#bytes <= maxBytes) return;
      this.#kept.delete(key);
      this.#bytes -= bytes;
    }
  }
}

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

/** Durable half of the answers. */
export interface AnswerStore {
  load(): Iterable<readonly [at: string, kept: StoredAnswer]>;
  /** Resolves when the answer would survive a crash. */
  put(at: string, kept: StoredAnswer): Promise<unknown>;
  delete(at: string): void;
}

export interface StoredAnswer {
  readonly body: string;
  /** Undefined while the request runs. */
  readonly answer: WholeAnswer | undefined;
  readonly expiresMs: number;
}

/** Forgets with the process; for tests. */
export const volatileAnswers: AnswerStore = { load: () => [], put: async () => undefined, delete() {} };

export interface IdempotencyOptions {
  readonly store?: AnswerStore;
  readonly keepMs?: number;
  readonly maxAnswers?: number;
  readonly maxBytes?: number;
  readonly now?: () => number;
}

interface Kept {
  readonly body: string;
  /** Undefined when the process that was to give it has ended. */
  readonly answer: Promise<WholeAnswer> | undefined;
  readonly expiresMs: number;
  bytes: number;
}

const MAX_KEY_LENGTH = 255;

/**
 * Answers by idempotency key, for 24 hours or until there is no more room, also across a restart. A request that comes while the first runs waits for
 * its answer; one that failed is forgotten, so that it can be tried again. One that ran when the process ended is refused: it may have been charged, and does
 * not run twice.
 */
export class IdempotentAnswers {
  readonly #options: Required<IdempotencyOptions>;
  /** In order of arrival, hence of expiry. */
  readonly #kept = new Map<string, Kept>();
  #bytes = 0;

  constructor(options: IdempotencyOptions = {}) {
    const defaults = { keepMs: 24 * 3_600_000, maxAnswers: 10_000, maxBytes: 64 * 1024 ** 2, now: () => Date.now() };
    this.#options = { ...defaults, store: volatileAnswers, ...options };
    const stored = [...this.#options.store.load()].toSorted(([, a], [, b]) => a.expiresMs - b.expiresMs);
    for (const [at, { body, answer, expiresMs }] of stored) {
      const bytes = answer?.body.length ?? 0;
      this.#kept.set(at, { body, answer: answer && Promise.resolve(answer), expiresMs, bytes });
      this.#bytes += bytes;
    }
    this.#forget();
  }

  /**
   * Throws `idempotency_mismatch` when the key was used for another request, `request_interrupted` when this node stopped while it ran, and whatever
   * `make` throws.
   */
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
      if (!known.answer) {
        const message =
          "This node stopped while it ran the request of this idempotency key. Ask again with another key.";
        throw new KaratError("request_interrupted", message);
      }
      return await known.answer;
    }
    const { keepMs, now, store } = this.#options;
    const expiresMs = now() + keepMs;
    const begun = async (): Promise<WholeAnswer> => {
      await store.put(at, { body, answer: undefined, expiresMs });
      return await make();
    };
    const made = begun();
    const kept: Kept = { body, answer: made, expiresMs, bytes: 0 };
    this.#kept.set(at, kept);
    try {
      const answer = await made;
      if (this.#kept.get(at) === kept) {
        kept.bytes = answer.body.length;
        this.#bytes += kept.bytes;
        // Before the client has it: what it was told once, it is told again.
        await store.put(at, { body, answer, expiresMs: kept.expiresMs });
        this.#forget();
      }
      return answer;
    } catch (error) {
      if (this.#kept.get(at) === kept) {
        this.#kept.delete(at);
        store.delete(at);
      }
      throw error;
    }
  }

  #forget(): void {
    const { maxAnswers, maxBytes, now } = this.#options;
    const at = now();
    for (const [key, { expiresMs, bytes }] of this.#kept) {
      if (expiresMs > at && this.#kept.size <= maxAnswers && this.#bytes <= maxBytes) return;
      this.#kept.delete(key);
      this.#options.store.delete(key);
      this.#bytes -= bytes;
    }
  }
}

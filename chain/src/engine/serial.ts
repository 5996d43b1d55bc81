import { KaratError } from "@karat/common";

/**
 * Runs jobs one after the other, in the order they were given. Bounded: a job over the limit is refused with
 * `engine/queue-full`, never kept. A job that throws rejects its own promise only.
 */
export class SerialQueue {
  #tail: Promise<unknown> = Promise.resolve();
  #pending = 0;
  readonly #limit: number;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Jobs waiting or running. */
  get pending(): number {
    return this.#pending;
  }

  /** `urgent` jobs wait their turn like any other but are never refused: for callers that bound themselves. */
  run<T>(job: () => T | Promise<T>, { urgent = false } = {}): Promise<T> {
    if (!urgent && this.#pending >= this.#limit) {
      return Promise.reject(
        new KaratError("engine/queue-full", "too many requests are waiting for the application", {
          limit: this.#limit,
        }),
      );
    }
    this.#pending++;
    const result = this.#tail.then(job).finally(() => {
      this.#pending--;
    });
    this.#tail = result.catch(() => undefined);
    return result;
  }

  /** Resolves when everything given so far has ended. */
  async idle(): Promise<void> {
    await this.#tail;
  }
}

/** A bounded number of places, and a bounded queue in front of them. */
import { KaratError } from "@karat/common";

export class Slots {
  readonly capacity: number;
  readonly #maxWaiting: number;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(capacity: number, maxWaiting: number) {
    this.capacity = capacity;
    this.#maxWaiting = maxWaiting;
  }

  get load(): { running: number; waiting: number } {
    return { running: this.#running, waiting: this.#waiting.length };
  }

  /**
   * Waits for a place, first come first served; call the result once to give it back. `onAdmitted` is called as soon as it is certain
   * that there will be one.
   * Throws `overloaded` {retry_after_s} when the queue is full and `cancelled` when the signal fires first.
   */
  async acquire(signal?: AbortSignal, onAdmitted?: () => void): Promise<() => void> {
    throwIfCancelled(signal);
    if (this.#running < this.capacity) {
      this.#running++;
      onAdmitted?.();
      return this.#releaser();
    }
    if (this.#waiting.length >= this.#maxWaiting) {
      throw new KaratError("overloaded", "too many requests are waiting for the engine", { retry_after_s: 1 });
    }
    onAdmitted?.();
    await new Promise<void>((resolve, reject) => {
      const admit = (): void => {
        signal?.removeEventListener("abort", leave);
        resolve();
      };
      const leave = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(admit), 1);
        reject(cancelled());
      };
      this.#waiting.push(admit);
      signal?.addEventListener("abort", leave, { once: true });
    });
    return this.#releaser(); // the place was handed over, so #running is unchanged
  }

  #releaser(): () => void {
    let released = false;
    return () => {
      if (released) return;
      released = true;
      const next = this.#waiting.shift();
      if (next) next();
      else this.#running--;
    };
  }
}

export const cancelled = (): KaratError => new KaratError("cancelled", "the caller gave up");

export function throwIfCancelled(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw cancelled();
}

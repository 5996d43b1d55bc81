import { setImmediate } from "node:timers/promises";
import { KaratError } from "@karat/common";

/** Says when the next block is due: after the block time when transactions wait, after the idle time when none do. */
export class BlockClock {
  readonly #busyMs: number;
  readonly #idleMs: number;
  readonly #isBusy: () => boolean;
  #last = Date.now();
  #stopped = false;
  #interrupt: (() => void) | undefined;

  /** Throws `engine/bad-option` for times that make no sense. */
  constructor(busyMs: number, idleMs: number, isBusy: () => boolean) {
    if (!(busyMs >= 1) || !(idleMs >= busyMs)) {
      throw new KaratError("engine/bad-option", "block times must be at least 1 ms, the idle one not below the other", {
        busyMs,
        idleMs,
      });
    }
    this.#busyMs = busyMs;
    this.#idleMs = idleMs;
    this.#isBusy = isBusy;
  }

  /** Resolves with true when a block is due, with false once stopped. */
  async next(): Promise<boolean> {
    // Where a block takes longer than the block time there is no wait: requests must still get their turn.
    await setImmediate();
    while (!this.#stopped) {
      const due = this.#last + (this.#isBusy() ? this.#busyMs : this.#idleMs);
      const wait = due - Date.now();
      if (wait <= 0) {
        this.#last = Date.now();
        return true;
      }
      await this.#sleep(wait);
    }
    return false;
  }

  /** A transaction arrived: the idle time no longer holds. */
  wake(): void {
    this.#interrupt?.();
  }

  stop(): void {
    this.#stopped = true;
    this.#interrupt?.();
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#interrupt = undefined;
        resolve();
      };
      const timer = setTimeout(done, ms);
      this.#interrupt = done;
    });
  }
}

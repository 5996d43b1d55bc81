import { randomUUID } from "node:crypto";
import { isKaratError, type Logger, messageOf } from "@karat/common";
import type { JobQueue } from "./jobQueue.ts";
import type { Outbox, Pending } from "./outbox.ts";

export interface RelayOptions {
  readonly outbox: Outbox;
  readonly queue: JobQueue;
  /** Sends one record; resolves when its fate of this try is in the outbox. */
  readonly deliver: (key: string) => Promise<void>;
  /** Newest known height; undefined while there is none. */
  readonly height: () => bigint | undefined;
  readonly log: Logger;
  /** A notice that led to nothing for so long was lost, or nobody works the queue off: it is gone round. */
  readonly leaseMs?: number;
  /** A queue that is away for so long is gone round: deadlines do not wait for it. */
  readonly bypassAfterMs?: number;
  readonly tickMs?: number;
}

const CONCURRENCY = 256;
/** Records of one job: several Redis commands each would cost more than the requests themselves. */
const MAX_RECORDS = 512;
const LINGER_MS = 400;
/** In no key of a record. */
const SEPARATOR = ",";
const MAX_BYPASSED = 4_096;

/** Moves what is due from the outbox into the queue, and has it worked off. */
export class Relay {
  readonly #options: Required<RelayOptions>;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #again = false;
  #closed = false;
  /** A queue takes an id once, and one that outlives a process may still hold jobs that died with it. */
  readonly #run = randomUUID();
  #jobs = 0;
  #soon: NodeJS.Timeout | undefined;
  #awaySinceMs: number | undefined;
  readonly #bypassing = new Set<Promise<void>>();

  constructor(options: RelayOptions) {
    this.#options = { leaseMs: 10_000, bypassAfterMs: 5_000, tickMs: 500, ...options };
  }

  start(): void {
    const { queue, outbox, deliver, tickMs } = this.#options;
    queue.work(async ({ data }) => void (await Promise.all(data.split(SEPARATOR).map(deliver))), CONCURRENCY);
    outbox.onAdded(() => this.#wakeSoon());
    this.#timer = setInterval(() => this.wake(), tickMs).unref();
    this.wake();
  }

  /** New records come in threes and in bursts: one job tells of all that a moment brought. */
  #wakeSoon(): void {
    this.#soon ??= setTimeout(() => {
      this.#soon = undefined;
      this.wake();
    }, LINGER_MS);
  }

  /** Looks for what is due; called with each block. */
  wake(): void {
    if (this.#closed) return;
    if (this.#running) {
      this.#again = true;
      return;
    }
    this.#running = this.#pass().finally(() => {
      this.#running = undefined;
      if (!this.#again) return;
      this.#again = false;
      this.wake();
    });
  }

  /** Stops handing on; the queue is the caller's to close. */
  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    clearTimeout(this.#soon);
    await this.#running;
    await Promise.all(this.#bypassing);
  }

  async #pass(): Promise<void> {
    const { outbox, height, leaseMs, log } = this.#options;
    const now = performance.now();
    const at = height();
    let due: Pending[] = [];
    const late: Promise<void>[] = [];
    for (const pending of outbox.pending()) {
      if (this.#closed) return;
      if (at !== undefined && at > pending.deadlineHeight) {
        late.push(outbox.bury(pending.key, "deadline_passed", at));
        log.warn({ record: pending.key }, "A record did not reach the chain before its deadline.");
        continue;
      }
      const { handedOnMs } = pending;
      if (pending.awaits === "finish") continue;
      if ((handedOnMs !== undefined && now - handedOnMs < leaseMs) || pending.notBefore > (at ?? 0n)) continue;
      if (handedOnMs !== undefined && this.#goRound(pending)) continue;
      due.push(pending);
      if (due.length < MAX_RECORDS) continue;
      const taken = await this.#handOn(due);
      due = [];
      if (!taken) break;
    }
    await this.#handOn(due);
    await Promise.all(late);
  }

  /** Gives the queue one job for several records. False when it takes none and the way round it is not open. */
  async #handOn(due: readonly Pending[]): Promise<boolean> {
    const { queue, log } = this.#options;
    if (due.length === 0) return true;
    const now = performance.now();
    for (const pending of due) pending.handedOnMs = now;
    try {
      await queue.add({ id: `${this.#run}-${this.#jobs++}`, data: due.map(({ key }) => key).join(SEPARATOR) });
      this.#awaySinceMs = undefined;
      return true;
    } catch (error) {
      for (const pending of due) pending.handedOnMs = undefined;
      if (!isKaratError(error, "queue_unavailable")) log.error({ error: messageOf(error) }, "The queue failed.");
      this.#awaySinceMs ??= now;
      return due.every((pending) => this.#bypass(pending));
    }
  }

  /** False while the queue is still given time to come back. */
  #bypass(pending: Pending): boolean {
    const now = performance.now();
    const waitedLong = this.#awaySinceMs !== undefined && now - this.#awaySinceMs >= this.#options.bypassAfterMs;
    return waitedLong && this.#goRound(pending);
  }

  /** Has a record sent without the queue. False when too much is on this way already. */
  #goRound(pending: Pending): boolean {
    const { deliver, log } = this.#options;
    if (this.#bypassing.size >= MAX_BYPASSED) return false;
    pending.handedOnMs = performance.now();
    const going = deliver(pending.key)
      .catch((error) => log.error({ record: pending.key, error: messageOf(error) }, "A record could not be sent."))
      .finally(() => this.#bypassing.delete(going));
    this.#bypassing.add(going);
    return true;
  }
}

import { availableParallelism } from "node:os";
import { setImmediate as nextTurn } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { type Logger, messageOf } from "@karat/common";
import { CHECK_BYTES, nameOf, packCheck, type SignatureCheck, verifiedSignatures, verifyPacked } from "./verified.ts";

/** Checks that travel to a thread together: some 4 ms of work. */
const CHUNK = 64;

export interface PoolOptions {
  readonly log: Logger;
  /** Default: one less than there are processors, at least one. */
  readonly threads?: number;
  /** Most checks waiting or under way; what comes beyond is left to whoever needs it. Default 65,536. */
  readonly maxPending?: number;
  /** What the threads run. */
  readonly script?: URL;
}

interface Job {
  readonly names: readonly string[];
  readonly packed: Uint8Array;
  readonly done: PromiseWithResolvers<void>;
}

interface Thread {
  readonly worker: Worker;
  job: { readonly id: number; readonly job: Job } | undefined;
}

/**
 * Finds out in other threads which signatures are good and notes those in `verifiedSignatures`. It decides nothing: a
 * thread that fails, or a queue that is full, leaves the verification to the block that needs it.
 */
export class SignaturePool {
  readonly #log: Logger;
  readonly #maxPending: number;
  readonly #script: URL;
  /** How many threads are still to be started: the first checks start them all. */
  #toStart: number;
  readonly #threads: Thread[] = [];
  readonly #queue: Job[] = [];
  /** By name of the check, while it waits or is under way. */
  readonly #pending = new Map<string, Promise<void>>();
  #nextId = 0;

  constructor({
    log,
    threads = Math.max(1, availableParallelism() - 1),
    maxPending = 65_536,
    script = new URL("./worker.ts", import.meta.url),
  }: PoolOptions) {
    this.#log = log;
    this.#maxPending = maxPending;
    this.#script = script;
    this.#toStart = threads;
  }

  /** Checks waiting or under way. */
  get pending(): number {
    return this.#pending.size;
  }

  /** Takes over what is not known yet. Resolves when all of these checks are decided, or given up; never rejects. */
  submit(checks: Iterable<SignatureCheck>): Promise<void> {
    const waits = new Set<Promise<void>>();
    let names: string[] = [];
    let parts: Uint8Array[] = [];
    const flush = (): void => {
      if (names.length === 0) return;
      waits.add(this.#enqueue(names, parts));
      names = [];
      parts = [];
    };
    for (const check of checks) {
      const packed = packCheck(check);
      if (packed === undefined) continue;
      const name = nameOf(packed);
      if (verifiedSignatures.has(name) || names.includes(name)) continue;
      const under = this.#pending.get(name);
      if (under !== undefined) {
        waits.add(under);
        continue;
      }
      if (this.#pending.size + names.length >= this.#maxPending) break;
      names.push(name);
      parts.push(packed);
      if (names.length === CHUNK) flush();
    }
    flush();
    this.#dispatch();
    return Promise.all(waits).then(() => undefined);
  }

  /** Like `submit`, and this thread lends a hand until nothing waits any more: for a block that has to wait anyway. */
  async settle(checks: Iterable<SignatureCheck>): Promise<void> {
    const all = this.submit(checks);
    for (let job = this.#queue.pop(); job !== undefined; job = this.#queue.pop()) {
      this.#finish(job, verifyPacked(job.packed));
      await nextTurn();
    }
    await all;
  }

  /** Resolves when nothing waits and nothing is under way. */
  async idle(): Promise<void> {
    while (this.#pending.size > 0) await Promise.all(this.#pending.values());
  }

  /** Ends the threads; what they had is given up. */
  async close(): Promise<void> {
    this.#toStart = 0;
    const threads = this.#threads.splice(0);
    await Promise.all(threads.map(({ worker }) => worker.terminate()));
    for (const { job } of threads) if (job !== undefined) this.#finish(job.job);
    for (const job of this.#queue.splice(0)) this.#finish(job);
  }

  #start(): Thread {
    const worker = new Worker(this.#script);
    // A node that is asked to stop does not wait for signatures.
    worker.unref();
    const thread: Thread = { worker, job: undefined };
    worker.on("message", ({ id, verdicts }: { id: number; verdicts: Uint8Array }) => {
      if (thread.job?.id !== id) return;
      this.#finish(thread.job.job, verdicts);
      thread.job = undefined;
      this.#dispatch();
    });
    worker.on("error", (error) => this.#lose(thread, messageOf(error)));
    worker.on("exit", (code) => this.#lose(thread, `exit code ${code}`));
    return thread;
  }

  #enqueue(names: readonly string[], parts: readonly Uint8Array[]): Promise<void> {
    const packed = new Uint8Array(parts.length * CHECK_BYTES);
    for (const [i, part] of parts.entries()) packed.set(part, i * CHECK_BYTES);
    const job: Job = { names, packed, done: Promise.withResolvers<void>() };
    for (const name of names) this.#pending.set(name, job.done.promise);
    this.#queue.push(job);
    return job.done.promise;
  }

  #dispatch(): void {
    for (; this.#toStart > 0 && this.#queue.length > 0; this.#toStart--) this.#threads.push(this.#start());
    if (this.#threads.length === 0) {
      for (const job of this.#queue.splice(0)) this.#finish(job);
      return;
    }
    for (const thread of this.#threads) {
      if (thread.job !== undefined) continue;
      const job = this.#queue.shift();
      if (job === undefined) return;
      const id = this.#nextId++;
      thread.job = { id, job };
      thread.worker.postMessage({ id, packed: job.packed });
    }
  }

  /** Without verdicts the job is given up: nothing is known of its signatures. */
  #finish({ names, done }: Job, verdicts?: Uint8Array): void {
    for (const [i, name] of names.entries()) {
      this.#pending.delete(name);
      if (verdicts?.[i] === 1) verifiedSignatures.add(name);
    }
    done.resolve();
  }

  #lose(thread: Thread, reason: string): void {
    const at = this.#threads.indexOf(thread);
    if (at < 0) return;
    this.#threads.splice(at, 1);
    this.#log.error({ reason, left: this.#threads.length }, "a thread that verifies signatures has ended");
    if (thread.job !== undefined) this.#finish(thread.job.job);
    thread.job = undefined;
    this.#dispatch();
  }
}

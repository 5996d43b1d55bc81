import { KaratError, type Logger, messageOf } from "@karat/common";
import type { Database } from "lmdb";
import type { NodeDatabase } from "../storage/database.ts";
import { type Job, type JobCounts, type JobQueue, MAX_TRIES, RETRY_PAUSE_MS } from "./jobQueue.ts";

interface StoredJob extends Job {
  readonly tries: number;
}

const MAX_JOBS = 100_000;
const MAX_FAILED = 1_000;

/** A queue in this process, durable on LMDB: for networks of one machine that run no Redis. */
export class EmbeddedQueue implements JobQueue {
  readonly #jobs: Database<StoredJob, string>;
  readonly #failed: Database<StoredJob, string>;
  readonly #log: Logger;
  /** Ids that may run now, oldest first. */
  readonly #waiting = new Set<string>();
  readonly #active = new Map<string, Promise<void>>();
  readonly #retries = new Map<string, NodeJS.Timeout>();
  #handler: ((job: Job) => Promise<void>) | undefined;
  #concurrency = 0;
  #closed = false;

  constructor(database: NodeDatabase, name: string, log: Logger) {
    this.#jobs = database.open(`jobs-${name}`);
    this.#failed = database.open(`failed-jobs-${name}`);
    this.#log = log;
    for (const id of this.#jobs.getKeys()) this.#waiting.add(id);
  }

  async add(job: Job): Promise<void> {
    if (this.#closed) throw unavailable("it is closed");
    if (this.#waiting.has(job.id) || this.#active.has(job.id) || this.#retries.has(job.id)) return;
    if (this.#waiting.size >= MAX_JOBS) throw unavailable("it is full");
    await this.#jobs.put(job.id, { ...job, tries: 0 });
    this.#waiting.add(job.id);
    this.#fill();
  }

  work(handler: (job: Job) => Promise<void>, concurrency: number): void {
    this.#handler = handler;
    this.#concurrency = concurrency;
    this.#fill();
  }

  async counts(): Promise<JobCounts> {
    const waiting = this.#waiting.size + this.#retries.size;
    return { waiting, active: this.#active.size, failed: this.#failed.getCount() };
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const timer of this.#retries.values()) clearTimeout(timer);
    await Promise.all(this.#active.values());
  }

  #fill(): void {
    for (const id of this.#waiting) {
      if (this.#closed || !this.#handler || this.#active.size >= this.#concurrency) return;
      this.#waiting.delete(id);
      const job = this.#jobs.get(id);
      if (!job) continue;
      const running = this.#run(job, this.#handler).finally(() => {
        this.#active.delete(id);
        this.#fill();
      });
      this.#active.set(id, running);
    }
  }

  async #run(job: StoredJob, handler: (job: Job) => Promise<void>): Promise<void> {
    try {
      await handler({ id: job.id, data: job.data });
      await this.#jobs.remove(job.id);
    } catch (error) {
      await this.#again({ ...job, tries: job.tries + 1 }, messageOf(error));
    }
  }

  async #again(job: StoredJob, error: string): Promise<void> {
    if (job.tries >= MAX_TRIES) {
      this.#log.error({ job: job.id, error }, "A job was given up.");
      await this.#failed.put(job.id, job);
      await this.#jobs.remove(job.id);
      const surplus = this.#failed.getCount() - MAX_FAILED;
      if (surplus > 0) for (const id of this.#failed.getKeys({ limit: surplus })) await this.#failed.remove(id);
      return;
    }
    await this.#jobs.put(job.id, job);
    if (this.#closed) return;
    const timer = setTimeout(
      () => {
        this.#retries.delete(job.id);
        this.#waiting.add(job.id);
        this.#fill();
      },
      RETRY_PAUSE_MS * 2 ** (job.tries - 1),
    );
    this.#retries.set(job.id, timer);
  }
}

const unavailable = (why: string): KaratError =>
  new KaratError("queue_unavailable", `The queue takes no job: ${why}.`, { retry_after_s: 1 });

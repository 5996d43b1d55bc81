import { KaratError, type Logger, messageOf } from "@karat/common";
import { Queue, Worker } from "bullmq";
import { Redis } from "ioredis";
import { type Job, type JobCounts, type JobQueue, MAX_TRIES, RETRY_PAUSE_MS } from "./jobQueue.ts";

export interface RedisQueueOptions {
  readonly url: string;
  /** No colon in it. */
  readonly name: string;
  readonly log: Logger;
  /** Longest wait for Redis to take a job. */
  readonly timeoutMs?: number;
}

/** The queue on Redis, by BullMQ. Redis may go and come back: adding fails meanwhile, working goes on by itself. */
export class RedisQueue implements JobQueue {
  readonly #options: Required<RedisQueueOptions>;
  readonly #producer: Redis;
  readonly #queue: Queue<string>;
  #consumer: Redis | undefined;
  #worker: Worker<string> | undefined;
  #reachable = true;

  constructor(options: RedisQueueOptions) {
    this.#options = { timeoutMs: 2_000, ...options };
    // BullMQ prepares a connection once and never again: it has to be one that waits for Redis. That adding does not wait is seen to by
    // #bounded; a command that is given up there and done later is a second notice of the same record, which does no harm.
    this.#producer = new Redis(options.url, { maxRetriesPerRequest: null, retryStrategy });
    this.#queue = new Queue<string>(options.name, { connection: this.#producer });
    this.#watch(this.#producer);
    this.#queue.on("error", () => undefined); // told once by #watch
  }

  async add({ id, data }: Job): Promise<void> {
    await this.#bounded(() =>
      this.#queue.add("record", data, {
        jobId: id,
        attempts: MAX_TRIES,
        backoff: { type: "exponential", delay: RETRY_PAUSE_MS },
        removeOnComplete: true,
        removeOnFail: { count: 1_000 },
      }),
    );
  }

  work(handler: (job: Job) => Promise<void>, concurrency: number): void {
    // Workers wait in blocking commands, on a connection of their own that never gives up.
    this.#consumer = new Redis(this.#options.url, { maxRetriesPerRequest: null, retryStrategy });
    this.#consumer.on("error", () => undefined);
    this.#worker = new Worker<string>(
      this.#options.name,
      async (job) => await handler({ id: job.id ?? "", data: job.data }),
      // Of itself it looks again 15 s after Redis was gone, when the anchors of starts are too old.
      { connection: this.#consumer, concurrency, runRetryDelay: 500 },
    );
    this.#worker.on("error", () => undefined);
    this.#worker.on("failed", (job, error) => {
      if (job && job.attemptsMade >= MAX_TRIES) {
        this.#options.log.error({ job: job.id, error: messageOf(error) }, "A job was given up.");
      }
    });
  }

  async counts(): Promise<JobCounts> {
    const counts = await this.#bounded(() => this.#queue.getJobCounts("waiting", "active", "delayed", "failed"));
    const { waiting = 0, delayed = 0, active = 0, failed = 0 } = counts;
    return { waiting: waiting + delayed, active, failed };
  }

  async close(): Promise<void> {
    // Without Redis there is nobody to say goodbye to: jobs of a worker that is gone are handed out again.
    const reachable = this.#producer.status === "ready";
    if (reachable) {
      await this.#worker?.close();
      await this.#queue.close();
    } else {
      this.#worker?.close(true).catch(() => undefined);
      this.#queue.close().catch(() => undefined);
    }
    this.#producer.disconnect();
    this.#consumer?.disconnect();
  }

  async #bounded<T>(call: () => Promise<T>): Promise<T> {
    if (this.#producer.status !== "ready") throw unavailable("Redis is not connected");
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(unavailable("Redis does not answer")), this.#options.timeoutMs);
    });
    try {
      return await Promise.race([call(), late]);
    } catch (error) {
      throw error instanceof KaratError ? error : unavailable(messageOf(error));
    } finally {
      clearTimeout(timer);
    }
  }

  #watch(redis: Redis): void {
    redis.on("error", (error) => {
      if (this.#reachable) this.#options.log.warn({ error: messageOf(error) }, "Redis does not answer; records wait.");
      this.#reachable = false;
    });
    redis.on("ready", () => {
      if (!this.#reachable) this.#options.log.info({}, "Redis answers again.");
      this.#reachable = true;
    });
  }
}

const retryStrategy = (times: number): number => Math.min(2_000, 100 * 2 ** Math.min(times, 5));

const unavailable = (why: string): KaratError =>
  new KaratError("queue_unavailable", `The queue takes no job: ${why}.`, { retry_after_s: 1 });

/** A notice that something is to be done; what exactly stands in durable state under `data`. */
export interface Job {
  /** No colon in it. */
  readonly id: string;
  readonly data: string;
}

export interface JobCounts {
  readonly waiting: number;
  readonly active: number;
  /** Given up after `MAX_TRIES`; the newest are kept. */
  readonly failed: number;
}

export const MAX_TRIES = 5;
/** Pause before the second try; doubles with each further one. */
export const RETRY_PAUSE_MS = 500;

/**
 * At least once, in no particular order, across restarts of this process. Every implementation passes `jobQueueConformance.ts`.
 * A job is idempotent by its nature: it may run twice when a process dies at the wrong moment.
 */
export interface JobQueue {
  /** Resolves when the job is safe in the queue; a second one of the same id, while the first is there, is none. Rejects `queue_unavailable`. */
  add(job: Job): Promise<void>;
  /** Begins to work, up to `concurrency` jobs at once. A handler that throws is tried again. Called once. */
  work(handler: (job: Job) => Promise<void>, concurrency: number): void;
  /** Rejects `queue_unavailable`. */
  counts(): Promise<JobCounts>;
  /** Lets the running jobs finish; waiting ones stay for the next process. */
  close(): Promise<void>;
}

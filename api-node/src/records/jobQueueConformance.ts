import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test, vi } from "vitest";
import type { Job, JobQueue } from "./jobQueue.ts";

/** What every JobQueue does. `open` gives the same queue each time it is called within a test, as after a restart. */
export function jobQueueConformance(
  name: string,
  setUp: () => Promise<{ open: () => Promise<JobQueue>; tearDown: () => Promise<void> }>,
): void {
  describe(name, () => {
    const withQueue = async (run: (open: () => Promise<JobQueue>) => Promise<void>): Promise<void> => {
      const { open, tearDown } = await setUp();
      try {
        await run(open);
      } finally {
        await tearDown();
      }
    };
    const job = (id: string): Job => ({ id, data: `data of ${id}` });

    test("works off what is added, each job once", () =>
      withQueue(async (open) => {
        const queue = await open();
        const done: Job[] = [];
        queue.work(async (one) => void done.push(one), 4);
        for (let i = 0; i < 20; i++) await queue.add(job(`job-${i}`));
        await vi.waitFor(() => expect(done).toHaveLength(20), 5_000);
        expect(done.find(({ id }) => id === "job-7")).toEqual(job("job-7"));
        await vi.waitFor(async () => expect(await queue.counts()).toEqual({ waiting: 0, active: 0, failed: 0 }), 5_000);
        await queue.close();
      }));

    test("a second job of an id that waits is none; later it is a new one", () =>
      withQueue(async (open) => {
        const queue = await open();
        await queue.add(job("same"));
        await queue.add(job("same"));
        let runs = 0;
        queue.work(async () => void runs++, 4);
        await vi.waitFor(() => expect(runs).toBe(1), 5_000);
        await vi.waitFor(async () => expect((await queue.counts()).active).toBe(0), 5_000);
        await queue.add(job("same"));
        await vi.waitFor(() => expect(runs).toBe(2), 5_000);
        await queue.close();
      }));

    test("runs no more than its concurrency at once", () =>
      withQueue(async (open) => {
        const queue = await open();
        let running = 0;
        let most = 0;
        let done = 0;
        queue.work(async () => {
          most = Math.max(most, ++running);
          await sleep(20);
          running--;
          done++;
        }, 3);
        for (let i = 0; i < 9; i++) await queue.add(job(`job-${i}`));
        await vi.waitFor(() => expect(done).toBe(9), 5_000);
        expect(most).toBeLessThanOrEqual(3);
        await queue.close();
      }));

    test("tries a failing job again", () =>
      withQueue(async (open) => {
        const queue = await open();
        let tries = 0;
        queue.work(async () => {
          if (++tries === 1) throw new Error("not yet");
        }, 1);
        await queue.add(job("stubborn"));
        await vi.waitFor(() => expect(tries).toBe(2), 5_000);
        await vi.waitFor(async () => expect(await queue.counts()).toEqual({ waiting: 0, active: 0, failed: 0 }), 5_000);
        await queue.close();
      }));

    test("keeps what waits across a restart", () =>
      withQueue(async (open) => {
        const before = await open();
        await before.add(job("patient"));
        await before.close();
        const after = await open();
        const done: string[] = [];
        after.work(async ({ id }) => void done.push(id), 1);
        await vi.waitFor(() => expect(done).toEqual(["patient"]), 5_000);
        await after.close();
      }));

    test("lets running jobs finish when it is closed", () =>
      withQueue(async (open) => {
        const queue = await open();
        let finished = false;
        const started = Promise.withResolvers<void>();
        queue.work(async () => {
          started.resolve();
          await sleep(50);
          finished = true;
        }, 1);
        await queue.add(job("running"));
        await started.promise;
        await queue.close();
        expect(finished).toBe(true);
      }));
  });
}

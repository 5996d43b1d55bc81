import { silentLogger } from "@karat/common";
import { describe, expect, test, vi } from "vitest";
import { keyOf, recordsToTest, settled, shortOf, start } from "../testing/recordPipeline.ts";
import { RedisServer, requireRedis } from "../testing/redisServer.ts";
import type { JobQueue } from "./jobQueue.ts";
import { RedisQueue } from "./redisQueue.ts";

const records = recordsToTest();

describe.runIf(requireRedis())("with Redis", () => {
  test("away and back, records wait and go out by themselves", async () => {
    const redis = await RedisServer.start();
    const queue = new RedisQueue({ url: redis.url, name: "records", log: silentLogger, timeoutMs: 500 });
    try {
      const made = records.pipeline(queue);
      made.outbox.add(start(1));
      await settled(made);
      await redis.kill();
      made.outbox.add(start(2)); // a request is not held up
      await redis.up();
      await vi.waitFor(() => expect(made.outbox.size).toBe(0), { timeout: 15_000, interval: 50 });
      expect(records.sender.recorded).toEqual([shortOf(keyOf("start", 1)), shortOf(keyOf("start", 2))]);
      await records.stop(made);
    } finally {
      await redis.close();
    }
  });

  test("emptied, the notices that were lost are given again", async () => {
    const redis = await RedisServer.start();
    const lossy: JobQueue = {
      add: async () => undefined, // takes it and forgets it
      work: () => undefined,
      counts: async () => ({ waiting: 0, active: 0, failed: 0 }),
      close: async () => undefined,
    };
    try {
      const first = records.pipeline(lossy);
      first.outbox.add(start(1));
      await records.stop(first);
      const queue = new RedisQueue({ url: redis.url, name: "records", log: silentLogger });
      const second = records.pipeline(queue);
      await vi.waitFor(() => expect(second.outbox.size).toBe(0), { timeout: 15_000, interval: 50 });
      await records.stop(second);
    } finally {
      await redis.close();
    }
  });
});

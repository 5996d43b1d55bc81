import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "@karat/common";
import { describe, expect, test, vi } from "vitest";
import { type NodeDatabase, openDatabase } from "../storage/database.ts";
import { RedisServer, requireRedis } from "../testing/redisServer.ts";
import { EmbeddedQueue } from "./embeddedQueue.ts";
import { jobQueueConformance } from "./jobQueueConformance.ts";
import { RedisQueue } from "./redisQueue.ts";

jobQueueConformance("the embedded queue", async () => {
  const directory = mkdtempSync(join(tmpdir(), "karat-queue-"));
  let database: NodeDatabase | undefined;
  return {
    open: async () => {
      await database?.close();
      database = openDatabase(directory);
      return new EmbeddedQueue(database, "test", silentLogger);
    },
    tearDown: async () => {
      await database?.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
});

const ready = async (queue: RedisQueue): Promise<RedisQueue> => {
  await vi.waitFor(() => queue.counts(), 5_000);
  return queue;
};

describe.runIf(requireRedis())("on Redis", () => {
  jobQueueConformance("the queue on Redis", async () => {
    const redis = await RedisServer.start();
    return {
      open: () => ready(new RedisQueue({ url: redis.url, name: "test", log: silentLogger })),
      tearDown: () => redis.close(),
    };
  });

  test("adding fails at once while Redis is away, and works again when it is back", async () => {
    const redis = await RedisServer.start();
    const queue = await ready(new RedisQueue({ url: redis.url, name: "test", log: silentLogger }));
    try {
      const done: string[] = [];
      queue.work(async ({ id }) => void done.push(id), 2);
      await queue.add({ id: "before", data: "" });
      await vi.waitFor(() => expect(done).toEqual(["before"]), 5_000);
      await redis.kill();
      await expect(queue.add({ id: "meanwhile", data: "" })).rejects.toMatchObject({ code: "queue_unavailable" });
      await redis.up();
      await vi.waitFor(() => queue.add({ id: "after", data: "" }), { timeout: 10_000, interval: 100 });
      await vi.waitFor(() => expect(done).toContain("after"), 10_000);
    } finally {
      await queue.close();
      await redis.close();
    }
  });
});

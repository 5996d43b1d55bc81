import { KaratError, silentLogger, toHex } from "@karat/common";
import { inference } from "@karat/proto";
import { describe, expect, test, vi } from "vitest";
import { openDatabase } from "../storage/database.ts";
import {
  authorizationOf,
  finish,
  idOf,
  keyOf,
  recordsToTest,
  settled,
  settledInTime,
  shortOf,
  start,
  writing,
} from "../testing/recordPipeline.ts";
import type { JobQueue } from "./jobQueue.ts";
import { Outbox } from "./outbox.ts";
import { RecordWriter } from "./writer.ts";

const records = recordsToTest();

describe("records", () => {
  test("that are put off are sent again though the notice comes while the last try is being booked", async () => {
    const database = openDatabase(records.directory);
    const outbox = new Outbox(database);
    const height = () => records.sender.height;
    const writer = new RecordWriter({
      ...writing,
      outbox,
      sender: () => records.sender,
      height,
      log: silentLogger,
      lingerMs: 1,
    });
    const key = keyOf("finish", 1);
    const defer = outbox.defer.bind(outbox);
    let next: Promise<void> | undefined;
    outbox.defer = async (...put) => {
      await defer(...put);
      records.sender.height += 1n;
      next ??= writer.deliver(key);
    };
    outbox.add(finish(1));
    await writer.deliver(key);
    await next;
    expect(outbox.get(key)?.unknownTries).toBe(2);
    await writer.close(1_000);
    await database.close();
  });

  test("go to the queue under ids of their process: one that died left jobs behind that take no second of their name", async () => {
    const ids: string[] = [];
    const jobs: JobQueue = {
      add: async ({ id }) => void ids.push(id),
      work: () => undefined,
      counts: async () => ({ waiting: 0, active: 0, failed: 0 }),
      close: async () => undefined,
    };
    for (let process = 0; process < 2; process++) {
      const made = records.pipeline(jobs);
      if (process === 0) made.outbox.add(start(1));
      await vi.waitFor(() => expect(ids).toHaveLength(process + 1));
      await records.stop(made);
    }
    expect(new Set(ids).size).toBe(2);
  });

  test("that are starts go out before others where not all fit into one transaction", async () => {
    const database = openDatabase(records.directory);
    const outbox = new Outbox(database);
    const height = () => records.sender.height;
    const bounds = { lingerMs: 10, batchRecords: 1_000, maxRecords: 4 };
    const writer = new RecordWriter({
      ...writing,
      outbox,
      sender: () => records.sender,
      height,
      log: silentLogger,
      ...bounds,
    });
    const numbers = [1, 2, 3, 4];
    await Promise.all(numbers.flatMap((n) => [outbox.add(finish(n)), outbox.add(start(n))]));
    const keys = [...numbers.map((n) => keyOf("finish", n)), ...numbers.map((n) => keyOf("start", n))];
    await Promise.all(keys.map((key) => writer.deliver(key)));
    expect(records.sender.recorded).toEqual([...keys.slice(4), ...keys.slice(0, 4)].map(shortOf));
    await writer.close(1_000);
    await database.close();
  });

  test("of an outage are on chain within few transactions, starts first: anchors do not wait", async () => {
    const database = openDatabase(records.directory);
    const outbox = new Outbox(database);
    const height = () => records.sender.height;
    const bounds = { lingerMs: 10, batchRecords: 100_000 };
    const from = () => records.sender;
    const writer = new RecordWriter({ ...writing, outbox, sender: from, height, log: silentLogger, ...bounds });
    const backlog = Array.from({ length: 2_000 }, (_, n) => n);
    await Promise.all(backlog.flatMap((n) => [outbox.add(finish(n)), outbox.add(start(n))]));
    let startsIn = 0;
    records.sender.before = () => {
      if (records.sender.recorded.filter((name) => name.startsWith("start")).length < 2_000) startsIn++;
    };
    await Promise.all([...outbox.pending()].map(({ key }) => writer.deliver(key)));
    expect([startsIn, records.sender.transactions, outbox.size]).toEqual([2, 4, 0]);
    await writer.close(1_000);
    await database.close();
  });

  test("of an executor that lost the inference to a faster one are dropped", async () => {
    const made = records.pipeline();
    records.sender.taken = true;
    made.outbox.add(finish(1));
    await settled(made);
    expect(records.sender.recorded).toEqual([]);
    expect(made.outbox.deadCount).toBe(0);
  });

  test("that come together ride in few transactions, starts before finishes", async () => {
    const made = records.pipeline();
    await Promise.all(
      Array.from({ length: 40 }, (_, n) => [made.outbox.add(finish(n)), made.outbox.add(start(n))]).flat(),
    );
    await settledInTime(made);
    expect(records.sender.recorded).toHaveLength(80);
    expect(records.sender.transactions).toBeLessThan(20);
    expect(made.outbox.deadCount).toBe(0);
  });

  test("are one record however often they are added", async () => {
    const made = records.pipeline();
    await Promise.all([made.outbox.add(start(1)), made.outbox.add(start(1)), made.outbox.add(start(1))]);
    await settled(made);
    expect(records.sender.recorded).toEqual([shortOf(keyOf("start", 1))]);
  });

  test("of an inference that is not started yet wait for the next block", async () => {
    const made = records.pipeline();
    made.outbox.add(finish(1));
    await vi.waitFor(() => expect(made.outbox.get(keyOf("finish", 1))?.unknownTries).toBe(1));
    expect(made.outbox.get(keyOf("finish", 1))?.notBefore).toBe(101n);
    made.outbox.add(start(1));
    await vi.waitFor(() => expect(records.sender.recorded).toHaveLength(1));
    records.sender.height += 1n;
    await settled(made);
    expect(records.sender.recorded).toEqual([shortOf(keyOf("start", 1)), shortOf(keyOf("finish", 1))]);
  });

  test("that are due at once replace what would have waited: a node that called itself off as executor", async () => {
    const made = records.pipeline();
    const other = inference.StartRecord.fromPartial({ authorization: authorizationOf(1), signature: idOf(9) });
    made.outbox.add({ ...start(1), notBefore: 102n });
    made.outbox.add({ ...start(1), record: inference.StartRecord.encode(other).finish(), notBefore: 101n });
    expect(made.outbox.get(keyOf("start", 1))).toMatchObject({ notBefore: 101n });
    made.outbox.add({ ...start(1), notBefore: 103n });
    const kept = inference.StartRecord.decode(made.outbox.get(keyOf("start", 1))!.record);
    expect(toHex(kept.signature)).toBe(toHex(idOf(9)));
  });

  test("of a transfer agent that chose another replace that of its own executor, whose answer was whole at once, too", async () => {
    const made = records.pipeline();
    const key = keyOf("start", 1);
    const other = inference.StartRecord.fromPartial({ authorization: authorizationOf(1), signature: idOf(9) });
    const chosen = { ...start(1), record: inference.StartRecord.encode(other).finish(), decides: true };
    const kept = () => toHex(inference.StartRecord.decode(made.outbox.get(key)!.record).signature);
    made.outbox.add(start(1));
    made.outbox.add(chosen);
    expect(kept()).toBe(toHex(idOf(9)));
    made.outbox.add(start(1));
    expect(kept()).toBe(toHex(idOf(9)));
    // What is in a transaction already may be on chain.
    await made.outbox.signedInto(new Map([[key, { hash: "00", timeoutHeight: 9n, index: 0 }]]));
    const late = { ...chosen, record: inference.StartRecord.encode({ ...other, signature: idOf(8) }).finish() };
    made.outbox.add(late);
    expect(kept()).toBe(toHex(idOf(9)));
  });

  test("that wait are sent at once when they are hastened", async () => {
    const made = records.pipeline();
    made.outbox.add({ ...start(1), notBefore: 1_000n });
    made.outbox.add({ ...finish(1), notBefore: 1_000n });
    made.outbox.hasten("start", idOf(1));
    made.outbox.hasten("finish", idOf(1));
    made.outbox.hasten("finish", idOf(2));
    await settled(made);
    expect(records.sender.recorded).toEqual([shortOf(keyOf("start", 1)), shortOf(keyOf("finish", 1))]);
  });

  test("that may wait go out when their height comes, or with what makes them due", async () => {
    const made = records.pipeline();
    made.outbox.add({ ...start(1), notBefore: 102n });
    made.outbox.add({ ...start(2), notBefore: 102n });
    made.outbox.add(start(2));
    made.outbox.add(finish(2));
    await vi.waitFor(() => expect(made.outbox.size).toBe(1));
    expect(records.sender.recorded).toEqual([shortOf(keyOf("start", 2)), shortOf(keyOf("finish", 2))]);
    records.sender.height = 102n;
    await settled(made);
    expect(records.sender.recorded.at(-1)).toBe(shortOf(keyOf("start", 1)));
  });

  test("are given up after their deadline, visibly, and can be put back", async () => {
    const made = records.pipeline();
    made.outbox.add(finish(1, { deadlineHeight: 102n }));
    for (let height = 101n; height <= 103n; height++) {
      records.sender.height = height;
      await vi.waitFor(() => {
        const at = made.outbox.get(keyOf("finish", 1));
        expect(at === undefined || at.notBefore > height).toBe(true);
      }, 5_000);
    }
    await settled(made);
    await vi.waitFor(() =>
      expect(made.outbox.deadLetters(10)).toMatchObject([{ key: keyOf("finish", 1), reason: "deadline_passed" }]),
    );
    const late = made.outbox.revive(keyOf("finish", 1), 103n);
    await expect(late).rejects.toMatchObject({ code: "record_expired" });
    await expect(made.outbox.revive(keyOf("start", 9), 100n)).rejects.toMatchObject({ code: "not_found" });
    expect(made.outbox.deadCount).toBe(1);
    records.sender.height = 100n;
    made.outbox.add(start(1));
    await made.outbox.revive(keyOf("finish", 1), 100n);
    await settled(made);
    expect(records.sender.recorded).toContain(shortOf(keyOf("finish", 1)));
    expect(made.outbox.deadCount).toBe(0);
  });

  test("a bad one does not hold up those that ride with it", async () => {
    const bad = toHex(idOf(3));
    records.sender.before = (messages) => {
      if (messages.some(({ value }) => value.starts.some(({ nonce }) => toHex(nonce) === bad))) {
        throw new KaratError("tx_refused", "by script", { code: 2, codespace: "sdk", log: "malformed" });
      }
    };
    const made = records.pipeline();
    await Promise.all(Array.from({ length: 8 }, (_, n) => made.outbox.add(start(n))));
    await vi.waitFor(() => expect(records.sender.recorded).toHaveLength(7), 5_000);
    await settledInTime(made);
    await vi.waitFor(() => expect(made.outbox.deadLetters(10)).toMatchObject([{ key: keyOf("start", 3) }]));
  });
});

import { KaratError, silentLogger } from "@karat/common";
import { expect, test, vi } from "vitest";
import { openDatabase } from "../storage/database.ts";
import { keyOf, recordsToTest, settled, start, startOfPart, writing } from "../testing/recordPipeline.ts";
import type { JobQueue } from "./jobQueue.ts";
import { Outbox } from "./outbox.ts";
import { recordKey } from "./record.ts";
import { RecordWriter } from "./writer.ts";

const records = recordsToTest();

// A chain that was away for a minute found each node with hundreds of transactions signed meanwhile, asked for one after the other: starts
// were too late for their anchors.
test("while the chain does not answer, nothing is signed for it a second time at one height", async () => {
  const send = vi.spyOn(records.sender, "send");
  records.sender.loseBroadcast = true;
  const made = records.pipeline();
  for (let n = 1; n <= 3; n++) {
    made.outbox.add(start(n));
    await vi.waitFor(() => expect(made.outbox.get(keyOf("start", n))?.notBefore).toBe(records.sender.height + 1n));
  }
  expect(send).toHaveBeenCalledTimes(1);
  expect(made.outbox.get(keyOf("start", 3))?.tx).toBeUndefined();
  records.sender.loseBroadcast = false;
  // Nobody knows that the first one never left: it is asked for, and given up after two blocks.
  await vi.waitFor(() => {
    records.sender.height += 1n;
    expect(made.outbox.size).toBe(0);
  }, 10_000);
  expect(records.sender.recorded).toHaveLength(3);
});

// It ended the process of a node that was started anew with such a record: the chain's id was asked for where nothing was caught.
test("starts of parts that are due before the chain was reached for the first time wait for it", async () => {
  const database = openDatabase(records.directory);
  const outbox = new Outbox(database);
  let reached = false;
  const chainId = () => {
    if (!reached) throw new KaratError("chain_unavailable", "not yet");
    return writing.chainId();
  };
  const [sender, height] = [() => records.sender, () => (reached ? records.sender.height : undefined)];
  const writer = new RecordWriter({ ...writing, chainId, outbox, sender, height, log: silentLogger, lingerMs: 10 });
  const part = startOfPart(1);
  const key = recordKey("start", part.inferenceId);
  outbox.add(part);
  await writer.deliver(key);
  expect(outbox.size).toBe(1);
  reached = true;
  await writer.deliver(key);
  expect([outbox.size, outbox.deadCount, records.sender.transactions]).toEqual([0, 0, 1]);
  await writer.close(1_000);
  await database.close();
});

test("what became of many transactions is asked at the same time", async () => {
  const database = openDatabase(records.directory);
  const outbox = new Outbox(database);
  let [asked, most] = [0, 0];
  vi.spyOn(records.sender, "outcome").mockImplementation(async () => {
    most = Math.max(most, ++asked);
    await new Promise(setImmediate);
    asked--;
    return "expired";
  });
  const [sender, height] = [() => records.sender, () => records.sender.height];
  const writer = new RecordWriter({ ...writing, outbox, sender, height, log: silentLogger, lingerMs: 10 });
  const keys = Array.from({ length: 100 }, (_, n) => keyOf("start", n));
  for (const [n, key] of keys.entries()) {
    outbox.add(start(n));
    await outbox.signedInto(new Map([[key, { hash: String(n), timeoutHeight: 1n, index: 0 }]]));
  }
  await Promise.all(keys.map((key) => writer.deliver(key)));
  expect([most > 10 && most <= 32, records.sender.transactions, outbox.size]).toEqual([true, 1, 0]);
  await writer.close(1_000);
  await database.close();
});

test("a queue that takes notices and has nobody work them off is gone round", async () => {
  const idle: JobQueue = {
    add: async () => undefined,
    work: () => undefined,
    counts: async () => ({ waiting: 0, active: 0, failed: 0 }),
    close: async () => undefined,
  };
  const made = records.pipeline(idle);
  for (let n = 1; n <= 3; n++) made.outbox.add(start(n));
  await settled(made);
  expect(records.sender.recorded).toHaveLength(3);
});

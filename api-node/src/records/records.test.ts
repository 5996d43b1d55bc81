import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { KaratError, sha256, silentLogger, toHex, utf8 } from "@karat/common";
import { encodeSigned, inference, partNameOf, refOf, sign } from "@karat/proto";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type NodeDatabase, openDatabase } from "../storage/database.ts";
import { FakeSender, fakeCompact } from "../testing/fakeSender.ts";
import { RedisServer, requireRedis } from "../testing/redisServer.ts";
import { EmbeddedQueue } from "./embeddedQueue.ts";
import type { JobQueue } from "./jobQueue.ts";
import { openBatchOf } from "./openBatch.ts";
import { Outbox } from "./outbox.ts";
import { ProgressWatch } from "./progressWatch.ts";
import { type NewRecord, recordKey } from "./record.ts";
import { RedisQueue } from "./redisQueue.ts";
import { Relay } from "./relay.ts";
import { isOfAnother, RecordWriter } from "./writer.ts";

const writing = { compact: fakeCompact, chainId: () => "karat-1", operator: "karat1operator" };

/** One process's record pipeline on a directory; `crash` leaves it as a kill would. */
class Pipeline {
  readonly database: NodeDatabase;
  readonly outbox: Outbox;
  readonly queue: JobQueue;
  readonly writer: RecordWriter;
  readonly relay: Relay;

  constructor(directory: string, sender: FakeSender, queue?: JobQueue) {
    this.database = openDatabase(directory);
    this.outbox = new Outbox(this.database);
    this.queue = queue ?? new EmbeddedQueue(this.database, "records", silentLogger);
    const height = () => sender.height;
    const log = silentLogger;
    this.writer = new RecordWriter({
      ...writing,
      outbox: this.outbox,
      sender: () => sender,
      height,
      log,
      lingerMs: 10,
    });
    const deliver = (key: string) => this.writer.deliver(key);
    const times = { tickMs: 20, leaseMs: 200, bypassAfterMs: 60_000 };
    this.relay = new Relay({ outbox: this.outbox, queue: this.queue, deliver, height, log, ...times });
    this.relay.start();
  }

  async stop(): Promise<void> {
    await this.relay.close();
    await this.writer.close(1_000);
    await this.queue.close();
    await this.database.close();
  }
}

const authorizationOf = (n: number): Uint8Array => utf8(`authorization ${n}`);
const idOf = (n: number): Uint8Array => sha256(authorizationOf(n));
const startBytes = (n: number): Uint8Array =>
  inference.StartRecord.encode(inference.StartRecord.fromPartial({ authorization: authorizationOf(n) })).finish();
const start = (n: number, deadlineHeight = 1_000n): NewRecord => {
  return { kind: "start", inferenceId: idOf(n), record: startBytes(n), deadlineHeight };
};
const finish = (n: number, more: Partial<NewRecord> = {}): NewRecord => ({
  kind: "finish",
  inferenceId: idOf(n),
  record: inference.FinishRecord.encode(inference.FinishRecord.fromPartial({ inferenceId: idOf(n) })).finish(),
  deadlineHeight: 1_000n,
  ...more,
});
/** As the chain names it. */
const shortOf = (key: string): string => key.slice(0, key.indexOf("-") + 17);
const keyOf = (kind: NewRecord["kind"], n: number): string => recordKey(kind, idOf(n));

test("a start of a part stands behind that of its order in a batch, and under the id of the part", () => {
  const prefix = { tokens: 2, hash: sha256(utf8("ids")) };
  const receipt = encodeSigned("receipt", {
    chainId: "karat-1",
    inferenceId: new Uint8Array(32),
    attempt: 3,
    executor: "karat1executor",
    promptTokens: 4,
    deadlineHeight: 9n,
  });
  const authorization = authorizationOf(1);
  const record = inference.StartRecord.encode(
    inference.StartRecord.fromPartial({ authorization, receipt, prefix }),
  ).finish();
  const inferenceId = sha256(partNameOf("karat-1", idOf(1), 3, prefix));
  const part: NewRecord = { kind: "start", inferenceId, record, deadlineHeight: 9n };
  const entries = [part, start(1)].map((one) => ({ ...one, notBefore: 0n, unknownTries: 0, refusedTries: 0 }));
  const { batch, order } = openBatchOf(entries, "karat-1", { sender: "karat1node", operator: "karat1operator" });
  expect(order.map((entry) => toHex(entry.inferenceId))).toEqual([idOf(1), inferenceId].map(toHex));
  expect(batch.starts?.map((one) => one.prefix)).toEqual([undefined, prefix]);
  expect(order.map((entry) => isOfAnother(entry, () => "karat-1"))).toEqual([false, false]);
  for (const inferenceId of [idOf(1), idOf(2)])
    expect(isOfAnother({ ...part, inferenceId }, () => "karat-1")).toBe(true);
});

let directory: string;
let sender: FakeSender;
const open: Pipeline[] = [];
const pipeline = (queue?: JobQueue): Pipeline => {
  const made = new Pipeline(directory, sender, queue);
  open.push(made);
  return made;
};
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "karat-records-"));
  sender = new FakeSender();
});
afterEach(async () => {
  for (const made of open.splice(0)) await made.stop();
  rmSync(directory, { recursive: true, force: true });
});
const stop = async (made: Pipeline): Promise<void> => {
  open.splice(open.indexOf(made), 1);
  await made.stop();
};
/** Blocks pass until everything has its result. */
const settledInTime = (made: Pipeline) =>
  vi.waitFor(() => {
    sender.height += 1n;
    expect(made.outbox.size).toBe(0);
  }, 10_000);
const settled = (made: Pipeline) => vi.waitFor(() => expect(made.outbox.size).toBe(0), 5_000);

describe("the outbox", () => {
  test("has what was added when its process dies the moment after, as it was by then", async () => {
    const first = openDatabase(directory);
    const outbox = new Outbox(first);
    outbox.add({ ...start(1), notBefore: 9n });
    outbox.add({ ...start(1), notBefore: 5n });
    expect(new Outbox(first).size).toBe(0); // LMDB does not have it yet
    const second = openDatabase(directory);
    expect(new Outbox(second).get(keyOf("start", 1))).toMatchObject({ notBefore: 5n, deadlineHeight: 1_000n });
    await first.close();
    await second.close();
  });

  test("has nothing of what was removed before LMDB had it", async () => {
    const database = openDatabase(directory);
    const outbox = new Outbox(database);
    outbox.add(start(1));
    await outbox.remove(keyOf("start", 1));
    await database.close();
    const again = openDatabase(directory);
    expect(new Outbox(again).size).toBe(0);
    await again.close();
  });

  test("of a delivery that was resolved and lost with the process asks the chain again", async () => {
    const database = openDatabase(directory);
    const outbox = new Outbox(database);
    outbox.add({ ...finish(1), kind: "delivery", awaits: "finish" });
    await outbox.resolve(keyOf("delivery", 1), true);
    expect(outbox.get(keyOf("delivery", 1))).toMatchObject({ agrees: true });
    await database.close();
    const again = openDatabase(directory);
    expect([...new Outbox(again).pending()]).toMatchObject([{ awaits: "finish" }]);
    await again.close();
  });
});

describe("records", () => {
  test("that are put off are sent again though the notice comes while the last try is being booked", async () => {
    const database = openDatabase(directory);
    const outbox = new Outbox(database);
    const height = () => sender.height;
    const writer = new RecordWriter({
      ...writing,
      outbox,
      sender: () => sender,
      height,
      log: silentLogger,
      lingerMs: 1,
    });
    const key = keyOf("finish", 1);
    const defer = outbox.defer.bind(outbox);
    let next: Promise<void> | undefined;
    outbox.defer = async (...put) => {
      await defer(...put);
      sender.height += 1n;
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
      const made = pipeline(jobs);
      if (process === 0) made.outbox.add(start(1));
      await vi.waitFor(() => expect(ids).toHaveLength(process + 1));
      await stop(made);
    }
    expect(new Set(ids).size).toBe(2);
  });

  test("that are starts go out before others where not all fit into one transaction", async () => {
    const database = openDatabase(directory);
    const outbox = new Outbox(database);
    const height = () => sender.height;
    const bounds = { lingerMs: 10, batchRecords: 1_000, maxRecords: 4 };
    const writer = new RecordWriter({
      ...writing,
      outbox,
      sender: () => sender,
      height,
      log: silentLogger,
      ...bounds,
    });
    const numbers = [1, 2, 3, 4];
    await Promise.all(numbers.flatMap((n) => [outbox.add(finish(n)), outbox.add(start(n))]));
    const keys = [...numbers.map((n) => keyOf("finish", n)), ...numbers.map((n) => keyOf("start", n))];
    await Promise.all(keys.map((key) => writer.deliver(key)));
    expect(sender.recorded).toEqual([...keys.slice(4), ...keys.slice(0, 4)].map(shortOf));
    await writer.close(1_000);
    await database.close();
  });

  test("of an outage are on chain within few transactions, starts first: anchors do not wait", async () => {
    const database = openDatabase(directory);
    const outbox = new Outbox(database);
    const height = () => sender.height;
    const bounds = { lingerMs: 10, batchRecords: 100_000 };
    const from = () => sender;
    const writer = new RecordWriter({ ...writing, outbox, sender: from, height, log: silentLogger, ...bounds });
    const backlog = Array.from({ length: 2_000 }, (_, n) => n);
    await Promise.all(backlog.flatMap((n) => [outbox.add(finish(n)), outbox.add(start(n))]));
    let startsIn = 0;
    sender.before = () => {
      if (sender.recorded.filter((name) => name.startsWith("start")).length < 2_000) startsIn++;
    };
    await Promise.all([...outbox.pending()].map(({ key }) => writer.deliver(key)));
    expect([startsIn, sender.transactions, outbox.size]).toEqual([4, 8, 0]);
    await writer.close(1_000);
    await database.close();
  });

  test("of an executor that lost the inference to a faster one are dropped", async () => {
    const made = pipeline();
    sender.taken = true;
    made.outbox.add(finish(1));
    await settled(made);
    expect(sender.recorded).toEqual([]);
    expect(made.outbox.deadCount).toBe(0);
  });

  test("that come together ride in few transactions, starts before finishes", async () => {
    const made = pipeline();
    await Promise.all(
      Array.from({ length: 40 }, (_, n) => [made.outbox.add(finish(n)), made.outbox.add(start(n))]).flat(),
    );
    await settledInTime(made);
    expect(sender.recorded).toHaveLength(80);
    expect(sender.transactions).toBeLessThan(20);
    expect(made.outbox.deadCount).toBe(0);
  });

  test("are one record however often they are added", async () => {
    const made = pipeline();
    await Promise.all([made.outbox.add(start(1)), made.outbox.add(start(1)), made.outbox.add(start(1))]);
    await settled(made);
    expect(sender.recorded).toEqual([shortOf(keyOf("start", 1))]);
  });

  test("of an inference that is not started yet wait for the next block", async () => {
    const made = pipeline();
    made.outbox.add(finish(1));
    await vi.waitFor(() => expect(made.outbox.get(keyOf("finish", 1))?.unknownTries).toBe(1));
    expect(made.outbox.get(keyOf("finish", 1))?.notBefore).toBe(101n);
    made.outbox.add(start(1));
    await vi.waitFor(() => expect(sender.recorded).toHaveLength(1));
    sender.height += 1n;
    await settled(made);
    expect(sender.recorded).toEqual([shortOf(keyOf("start", 1)), shortOf(keyOf("finish", 1))]);
  });

  test("that are due at once replace what would have waited: a node that called itself off as executor", async () => {
    const made = pipeline();
    const other = inference.StartRecord.fromPartial({ authorization: authorizationOf(1), signature: idOf(9) });
    made.outbox.add({ ...start(1), notBefore: 102n });
    made.outbox.add({ ...start(1), record: inference.StartRecord.encode(other).finish(), notBefore: 101n });
    expect(made.outbox.get(keyOf("start", 1))).toMatchObject({ notBefore: 101n });
    made.outbox.add({ ...start(1), notBefore: 103n });
    const kept = inference.StartRecord.decode(made.outbox.get(keyOf("start", 1))!.record);
    expect(toHex(kept.signature)).toBe(toHex(idOf(9)));
  });

  test("of a transfer agent that chose another replace that of its own executor, whose answer was whole at once, too", async () => {
    const made = pipeline();
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
    const made = pipeline();
    made.outbox.add({ ...start(1), notBefore: 1_000n });
    made.outbox.add({ ...finish(1), notBefore: 1_000n });
    made.outbox.hasten("start", idOf(1));
    made.outbox.hasten("finish", idOf(1));
    made.outbox.hasten("finish", idOf(2));
    await settled(made);
    expect(sender.recorded).toEqual([shortOf(keyOf("start", 1)), shortOf(keyOf("finish", 1))]);
  });

  test("that may wait go out when their height comes, or with what makes them due", async () => {
    const made = pipeline();
    made.outbox.add({ ...start(1), notBefore: 102n });
    made.outbox.add({ ...start(2), notBefore: 102n });
    made.outbox.add(start(2));
    made.outbox.add(finish(2));
    await vi.waitFor(() => expect(made.outbox.size).toBe(1));
    expect(sender.recorded).toEqual([shortOf(keyOf("start", 2)), shortOf(keyOf("finish", 2))]);
    sender.height = 102n;
    await settled(made);
    expect(sender.recorded.at(-1)).toBe(shortOf(keyOf("start", 1)));
  });

  test("are given up after their deadline, visibly, and can be put back", async () => {
    const made = pipeline();
    made.outbox.add(finish(1, { deadlineHeight: 102n }));
    for (let height = 101n; height <= 103n; height++) {
      sender.height = height;
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
    sender.height = 100n;
    made.outbox.add(start(1));
    await made.outbox.revive(keyOf("finish", 1), 100n);
    await settled(made);
    expect(sender.recorded).toContain(shortOf(keyOf("finish", 1)));
    expect(made.outbox.deadCount).toBe(0);
  });

  test("a bad one does not hold up those that ride with it", async () => {
    const bad = toHex(idOf(3));
    sender.before = (messages) => {
      if (messages.some(({ value }) => value.starts.some(({ nonce }) => toHex(nonce) === bad))) {
        throw new KaratError("tx_refused", "by script", { code: 2, codespace: "sdk", log: "malformed" });
      }
    };
    const made = pipeline();
    await Promise.all(Array.from({ length: 8 }, (_, n) => made.outbox.add(start(n))));
    await vi.waitFor(() => expect(sender.recorded).toHaveLength(7), 5_000);
    await settledInTime(made);
    await vi.waitFor(() => expect(made.outbox.deadLetters(10)).toMatchObject([{ key: keyOf("start", 3) }]));
  });
});

describe("what waits for the chain", () => {
  const statement = {
    chainId: "karat-1",
    inferenceId: idOf(1),
    executor: "karat1x",
    outputHash: idOf(2),
    artifactRoot: idOf(3),
    promptHash: idOf(4),
    promptTokens: 5,
    completionTokens: 6,
    finishReason: sign.FinishReason.STOP,
  };
  const response = encodeSigned("response", statement);
  const counts = { promptTokens: 5, completionTokens: 6, finishReason: sign.FinishReason.STOP };
  const progressOf = (change: Partial<inference.Progress> = {}): inference.Progress => ({
    ref: refOf(idOf(1)),
    status: inference.InferenceStatus.FINISHED,
    root: sha256(response),
    ...counts,
    delivered: false,
    ...change,
  });
  const delivery = (complete = true): NewRecord => ({
    kind: "delivery",
    inferenceId: idOf(1),
    record: inference.DeliveryRecord.encode({
      inferenceId: idOf(1),
      root: complete ? sha256(response) : new Uint8Array(),
      complete,
      response: complete ? response : new Uint8Array(),
      responseSignature: new Uint8Array(complete ? 64 : 0),
    }).finish(),
    deadlineHeight: 1_000n,
    awaits: "finish",
  });
  const look = async (made: Pipeline, ...answers: inference.Progress[]): Promise<bigint[]> => {
    const asked: bigint[] = [];
    const progress = async (refs: readonly bigint[]) => {
      asked.push(...refs);
      return answers;
    };
    await new ProgressWatch({ outbox: made.outbox, progress, log: silentLogger }).look();
    return asked;
  };
  const sent: inference.MsgRecords[] = [];
  beforeEach(() => {
    sent.length = 0;
    sender.before = (messages) => void sent.push(...messages.map(({ value }) => value));
  });

  test("a delivery waits for its finish, and says no more than that it agrees with it", async () => {
    const made = pipeline();
    made.outbox.add(start(1));
    await settled(made);
    made.outbox.add(delivery());
    expect(await look(made)).toEqual([refOf(idOf(1))]);
    await look(made, progressOf({ status: inference.InferenceStatus.STARTED, root: new Uint8Array() }));
    expect(made.outbox.size).toBe(1);
    await look(made, progressOf());
    await settled(made);
    expect(sent.at(-1)).toMatchObject({ delivered: [refOf(idOf(1))], deliveredInPart: [], deliveries: [] });
  });

  test("what a client left before its end is delivered in part", async () => {
    const made = pipeline();
    made.outbox.add(start(1));
    await settled(made);
    made.outbox.add(delivery(false));
    await look(made, progressOf({ root: idOf(9) }));
    await settled(made);
    expect(sent.at(-1)).toMatchObject({ delivered: [], deliveredInPart: [refOf(idOf(1))], deliveries: [] });
  });

  test.each([
    ["another root", { root: idOf(9) }],
    ["counts that its statement has not", { completionTokens: 7 }],
  ])("a finish with %s is met with what its executor signed", async (_, change) => {
    const made = pipeline();
    made.outbox.add(start(1));
    await settled(made);
    made.outbox.add(delivery());
    await look(made, progressOf(change));
    await settled(made);
    const [said] = sent.at(-1)!.deliveries;
    expect(sent.at(-1)!.delivered).toEqual([]);
    expect([said!.complete, toHex(said!.response), said!.root.length]).toEqual([true, toHex(response), 0]);
  });

  test("is no dead letter where the inference was over before it got there", async () => {
    const made = pipeline();
    made.outbox.add(start(1));
    await settled(made);
    made.outbox.add(delivery());
    sender.over = true;
    await look(made, progressOf());
    await settled(made);
    expect([made.outbox.size, made.outbox.deadCount]).toEqual([0, 0]);
  });

  test("is dropped where there is nothing left to say: missed, paid, refunded, or delivered before a crash", async () => {
    const { MISSED, SETTLED, INVALID, INCONCLUSIVE } = inference.InferenceStatus;
    const over = [MISSED, SETTLED, INVALID, INCONCLUSIVE].map((status) => ({ status }));
    for (const change of [...over, { delivered: true }]) {
      const made = pipeline();
      made.outbox.add(delivery());
      await look(made, progressOf(change));
      expect(made.outbox.size).toBe(0);
      await stop(made);
    }
    expect(sent).toEqual([]);
  });

  test("a transfer agent sends the start only when the chain does not show its executor's", async () => {
    const made = pipeline();
    made.outbox.add({ ...start(1), awaits: "start", notBefore: 103n });
    made.outbox.add({ ...start(2), awaits: "start", notBefore: 103n });
    await look(made, progressOf({ status: inference.InferenceStatus.STARTED }));
    sender.height = 103n;
    await settled(made);
    expect(sender.recorded).toEqual([shortOf(keyOf("start", 2))]);
  });
});

describe("exactly once", () => {
  test("when the process dies between outbox and broadcast", async () => {
    sender.loseBroadcast = true;
    const first = pipeline();
    first.outbox.add(start(1));
    await vi.waitFor(() => expect(first.outbox.get(keyOf("start", 1))?.tx).toBeDefined(), 5_000);
    await stop(first);
    sender.loseBroadcast = false;
    sender.height += 1n;
    const second = pipeline();
    await vi.waitFor(() => expect(second.outbox.get(keyOf("start", 1))?.notBefore).toBe(102n), 5_000);
    expect(sender.transactions).toBe(0); // it may be about to get in
    sender.height += 1n;
    await settled(second);
    expect(sender.recorded).toEqual([shortOf(keyOf("start", 1))]);
    expect(sender.transactions).toBe(1);
  });

  test("when it dies between broadcast and answer", async () => {
    sender.loseAnswer = true;
    const first = pipeline();
    first.outbox.add(start(1));
    await vi.waitFor(() => expect(sender.transactions).toBe(1), 5_000);
    await stop(first);
    sender.loseAnswer = false;
    sender.height += 1n;
    await settled(pipeline());
    expect(sender.transactions).toBe(1);
    expect(sender.recorded).toEqual([shortOf(keyOf("start", 1))]);
  });

  test("when it dies while it notes the results of a transaction", async () => {
    sender.loseAnswer = true;
    const first = pipeline();
    await Promise.all([first.outbox.add(start(1)), first.outbox.add(start(2)), first.outbox.add(finish(1))]);
    await vi.waitFor(() => expect(sender.transactions).toBe(1), 5_000);
    await vi.waitFor(() => expect(first.outbox.get(keyOf("finish", 1))?.tx?.index).toBe(2), 5_000);
    for (const n of [1, 2]) await first.outbox.remove(keyOf("start", n));
    await stop(first);
    sender.loseAnswer = false;
    sender.height += 1n;
    const second = pipeline();
    await settled(second);
    expect(second.outbox.deadCount).toBe(0);
    expect(sender.transactions).toBe(1);
  });

  test("when it dies before anything was signed", async () => {
    const first = pipeline();
    await first.relay.close();
    first.outbox.add(start(1));
    await stop(first);
    await settled(pipeline());
    expect(sender.recorded).toEqual([shortOf(keyOf("start", 1))]);
  });
});

describe.runIf(requireRedis())("with Redis", () => {
  test("away and back, records wait and go out by themselves", async () => {
    const redis = await RedisServer.start();
    const queue = new RedisQueue({ url: redis.url, name: "records", log: silentLogger, timeoutMs: 500 });
    try {
      const made = pipeline(queue);
      made.outbox.add(start(1));
      await settled(made);
      await redis.kill();
      made.outbox.add(start(2)); // a request is not held up
      await redis.up();
      await vi.waitFor(() => expect(made.outbox.size).toBe(0), { timeout: 15_000, interval: 50 });
      expect(sender.recorded).toEqual([shortOf(keyOf("start", 1)), shortOf(keyOf("start", 2))]);
      await stop(made);
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
      const first = pipeline(lossy);
      first.outbox.add(start(1));
      await stop(first);
      const queue = new RedisQueue({ url: redis.url, name: "records", log: silentLogger });
      const second = pipeline(queue);
      await vi.waitFor(() => expect(second.outbox.size).toBe(0), { timeout: 15_000, interval: 50 });
      await stop(second);
    } finally {
      await redis.close();
    }
  });
});

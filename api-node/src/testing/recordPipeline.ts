/** What the tests of records share: records as nodes write them, and the pipeline that carries them to a chain that is not there. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sha256, silentLogger, utf8 } from "@karat/common";
import { inference, partNameOf, sign } from "@karat/proto";
import { afterEach, beforeEach, expect, vi } from "vitest";
import { EmbeddedQueue } from "../records/embeddedQueue.ts";
import type { JobQueue } from "../records/jobQueue.ts";
import { Outbox } from "../records/outbox.ts";
import { type NewRecord, recordKey } from "../records/record.ts";
import { Relay } from "../records/relay.ts";
import { RecordWriter } from "../records/writer.ts";
import { type NodeDatabase, openDatabase } from "../storage/database.ts";
import { FakeSender, fakeCompact } from "./fakeSender.ts";

export const writing = { compact: fakeCompact, chainId: () => "karat-1", operator: "karat1operator" };

export const authorizationOf = (n: number): Uint8Array => utf8(`authorization ${n}`);
export const idOf = (n: number): Uint8Array => sha256(authorizationOf(n));
const startBytes = (n: number): Uint8Array =>
  inference.StartRecord.encode(inference.StartRecord.fromPartial({ authorization: authorizationOf(n) })).finish();
export const start = (n: number, deadlineHeight = 1_000n): NewRecord => {
  return { kind: "start", inferenceId: idOf(n), record: startBytes(n), deadlineHeight };
};
/** Of what goes on behind an order, the fourth that was asked. */
export function startOfPart(n: number): NewRecord {
  const prefix = { tokens: 2, hash: sha256(utf8("ids")) };
  const attempt = 3;
  const receipt = sign.Receipt.encode(sign.Receipt.fromPartial({ attempt })).finish();
  const started = inference.StartRecord.fromPartial({ authorization: authorizationOf(n), receipt, prefix });
  const inferenceId = sha256(partNameOf(writing.chainId(), idOf(n), attempt, prefix));
  return {
    kind: "start",
    inferenceId,
    record: inference.StartRecord.encode(started).finish(),
    deadlineHeight: 1_000n,
  };
}
export const finish = (n: number, more: Partial<NewRecord> = {}): NewRecord => ({
  kind: "finish",
  inferenceId: idOf(n),
  record: inference.FinishRecord.encode(inference.FinishRecord.fromPartial({ inferenceId: idOf(n) })).finish(),
  deadlineHeight: 1_000n,
  ...more,
});
export const keyOf = (kind: NewRecord["kind"], n: number): string => recordKey(kind, idOf(n));
/** As the chain names it. */
export const shortOf = (key: string): string => key.slice(0, key.indexOf("-") + 17);

/** One process's record pipeline on a directory; stopped in the middle of its work, it leaves it as a kill would. */
export class Pipeline {
  readonly sender: FakeSender;
  readonly database: NodeDatabase;
  readonly outbox: Outbox;
  readonly queue: JobQueue;
  readonly writer: RecordWriter;
  readonly relay: Relay;

  constructor(directory: string, sender: FakeSender, queue?: JobQueue) {
    this.sender = sender;
    this.database = openDatabase(directory);
    this.outbox = new Outbox(this.database);
    this.queue = queue ?? new EmbeddedQueue(this.database, "records", silentLogger);
    const { outbox } = this;
    const height = () => sender.height;
    const log = silentLogger;
    this.writer = new RecordWriter({ ...writing, outbox, sender: () => sender, height, log, lingerMs: 10 });
    const deliver = (key: string) => this.writer.deliver(key);
    const times = { tickMs: 20, leaseMs: 200, bypassAfterMs: 60_000 };
    this.relay = new Relay({ outbox, queue: this.queue, deliver, height, log, ...times });
    this.relay.start();
  }

  async stop(): Promise<void> {
    await this.relay.close();
    await this.writer.close(1_000);
    await this.queue.close();
    await this.database.close();
  }
}

/** For each test of a file a directory and a chain; pipelines on them are stopped behind it. */
class RecordsToTest {
  directory = "";
  sender = new FakeSender();
  readonly #open: Pipeline[] = [];

  begin(): void {
    this.directory = mkdtempSync(join(tmpdir(), "karat-records-"));
    this.sender = new FakeSender();
  }

  async end(): Promise<void> {
    for (const made of this.#open.splice(0)) await made.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }

  pipeline(queue?: JobQueue): Pipeline {
    const made = new Pipeline(this.directory, this.sender, queue);
    this.#open.push(made);
    return made;
  }

  async stop(made: Pipeline): Promise<void> {
    this.#open.splice(this.#open.indexOf(made), 1);
    await made.stop();
  }
}

/** To be called once in a file of tests. */
export function recordsToTest(): RecordsToTest {
  const records = new RecordsToTest();
  beforeEach(() => records.begin());
  afterEach(() => records.end());
  return records;
}

/** Blocks pass until everything has its result. */
export const settledInTime = (made: Pipeline) =>
  vi.waitFor(() => {
    made.sender.height += 1n;
    expect(made.outbox.size).toBe(0);
  }, 10_000);
export const settled = (made: Pipeline) => vi.waitFor(() => expect(made.outbox.size).toBe(0), 5_000);

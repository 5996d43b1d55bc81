import { encodeApiKey } from "@karat/client";
import { addressOfKey, type Logger, newPrivateKey, publicKeyOf, silentLogger } from "@karat/common";
import { createMetrics, type Metrics } from "@karat/common/http";
import { ExecutedIds, volatileIds } from "../executor/executedIds.ts";
import { MlPool } from "../executor/mlPool.ts";
import type { NodeIdentity } from "../identity.ts";
import { type ApiNode, type ApiNodeOptions, createApiNode } from "../node.ts";
import type { Payload } from "../payloads/payload.ts";
import { type NewRecord, type RecordKind, recordKey } from "../records/record.ts";
import { FakeMlNode, type MlScript } from "./fakeMlNode.ts";
import { FakeView, newIdentity } from "./fakeView.ts";

export interface JoinOptions {
  /** An ML node of the caller's in the place of the scripted one. */
  mlUrl?: string;
  log?: Logger;
}

export interface TestParticipant {
  readonly identity: NodeIdentity;
  readonly node: ApiNode;
  readonly ml: FakeMlNode;
  readonly pool: MlPool;
  readonly executed: ExecutedIds;
  readonly metrics: Metrics;
  readonly records: NewRecord[];
  readonly payloads: Payload[];
  readonly url: string;
}

/** Participants that share a scripted chain, each with its own server and a scripted ML node, all on loopback. */
export class TestNetwork {
  readonly view = new FakeView();
  readonly participants: TestParticipant[] = [];
  readonly clientKey = newPrivateKey();
  readonly apiKey = encodeApiKey(this.clientKey);
  readonly client = addressOfKey(publicKeyOf(this.clientKey));

  constructor() {
    this.view.fund(this.client, 1_000_000n);
  }

  async join(
    script: Partial<MlScript> = {},
    options: Partial<ApiNodeOptions> = {},
    { mlUrl, log = silentLogger }: JoinOptions = {},
  ): Promise<TestParticipant> {
    const identity = newIdentity();
    const ml = await FakeMlNode.start(script);
    const pool = new MlPool({ log: silentLogger, idleMs: 60_000 });
    await pool.add({ url: mlUrl ?? ml.url });
    const metrics = createMetrics({ process: false });
    const executed = new ExecutedIds(volatileIds);
    const records: NewRecord[] = [];
    const add = (record: NewRecord): void => {
      const key = recordKey(record.kind, record.inferenceId);
      const at = records.findIndex(({ kind, inferenceId }) => recordKey(kind, inferenceId) === key);
      // As the outbox: what is due at once replaces what would have waited.
      if (at < 0) records.push(record);
      else if ((record.notBefore ?? 0n) < (records[at]!.notBefore ?? 0n)) records[at] = record;
    };
    const hasten = (kind: RecordKind, inferenceId: Uint8Array): void => {
      const key = recordKey(kind, inferenceId);
      const at = records.findIndex((record) => recordKey(record.kind, record.inferenceId) === key);
      const { notBefore: _, ...rest } = records[at] ?? {};
      if (at >= 0) records[at] = rest as NewRecord;
    };
    const payloads: Payload[] = [];
    const node = await createApiNode(
      { host: "127.0.0.1", port: 0, idleMs: 5_000, ...options },
      {
        identity,
        view: this.view,
        ml: pool,
        records: { add, hasten },
        payloads: { put: async (...items) => void payloads.push(...items) },
        executed,
        metrics,
        log,
      },
    );
    const url = `http://127.0.0.1:${node.port}`;
    this.view.join(identity, url);
    const participant = { identity, node, ml, pool, executed, metrics, records, payloads, url };
    this.participants.push(participant);
    return participant;
  }

  async close(): Promise<void> {
    for (const { node, pool, ml } of this.participants) {
      await node.close();
      await pool.close();
      await ml.close();
    }
  }
}

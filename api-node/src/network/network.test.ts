import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeApiKey, type InferenceProof } from "@karat/client";
import { addressOfKey, newPrivateKey, publicKeyOf, sha256, silentLogger, toHex, utf8 } from "@karat/common";
import { createMetrics } from "@karat/common/http";
import { deposit, epoch, inference, sign, verification } from "@karat/proto";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { adminRoutes } from "../admin/app.ts";
import { MlPool } from "../executor/mlPool.ts";
import { PayloadFetcher } from "../payloads/fetcher.ts";
import { PayloadStore } from "../payloads/payloadStore.ts";
import { payloadRoutes } from "../payloads/route.ts";
import { PeerAuthentication } from "../peers/authentication.ts";
import { EmbeddedQueue } from "../records/embeddedQueue.ts";
import { Outbox } from "../records/outbox.ts";
import { type ListeningServer, listen } from "../server.ts";
import { type NodeDatabase, openDatabase } from "../storage/database.ts";
import { FakeMlNode } from "../testing/fakeMlNode.ts";
import { FakeView, newIdentity, TEST_MODEL } from "../testing/fakeView.ts";
import { createApp } from "./app.ts";
import { chainRoutes } from "./chainRoutes.ts";
import { clientRoutes } from "./clientRoutes.ts";
import { healthRoutes } from "./health.ts";
import { Notices } from "./notices.ts";

const directory = (): string => mkdtempSync(join(tmpdir(), "karat-network-"));
const view = new FakeView();
const me = newIdentity();
const peer = newIdentity();
view.join(me, "http://127.0.0.1:1");
view.join(peer, "http://127.0.0.1:2");
const clientKey = newPrivateKey();
const client = addressOfKey(publicKeyOf(clientKey));
const key = { authorization: `Bearer ${encodeApiKey(clientKey)}` };
view.deposits.set(client, deposit.Deposit.fromPartial({ available: 100n, locked: 7n, refunding: 30n }));

const inferenceId = sha256(utf8("an inference"));
const chain = {
  inference: async (id: Uint8Array) =>
    toHex(id) === toHex(inferenceId)
      ? inference.Inference.fromPartial({
          id,
          executor: "karat1nobody",
          model: TEST_MODEL,
          status: inference.InferenceStatus.FINISHED,
          finishReason: sign.FinishReason.LENGTH,
          cost: 5n,
          anchorHeight: 99n,
        })
      : undefined,
  check: async () =>
    verification.Check.fromPartial({
      status: verification.CheckStatus.PENDING,
      duties: [{ validator: "karat1v", deadlineHeight: 110n }],
    }),
  epoch: async (number?: bigint) =>
    number === undefined || number === 3n ? epoch.Epoch.fromPartial({ number: 3n }) : undefined,
};

let proof: InferenceProof | undefined;
const prove = async (): Promise<InferenceProof | undefined> => proof;

let path: string;
let database: NodeDatabase;
let server: ListeningServer;
let notices: Notices;
let payloads: PayloadStore;
let reasons: string[];
let url: string;
beforeEach(async () => {
  path = directory();
  database = openDatabase(path);
  notices = new Notices(database);
  payloads = new PayloadStore(database, { log: silentLogger });
  reasons = [];
  proof = undefined;
  const app = createApp(
    [
      healthRoutes(() => reasons),
      chainRoutes({ view, query: () => chain, prove }),
      clientRoutes(view, notices),
      payloadRoutes(payloads, new PeerAuthentication(view, me), async () => undefined),
    ],
    silentLogger,
  );
  server = await listen({ hot: new Map(), other: app }, "127.0.0.1", 0);
  url = `http://127.0.0.1:${server.port}`;
});
afterEach(async () => {
  await server.close(0);
  await database.close();
  rmSync(path, { recursive: true, force: true });
});

const get = async (at: string, headers: Record<string, string> = {}): Promise<[number, Record<string, never>]> => {
  const response = await fetch(url + at, { headers });
  return [response.status, (await response.json()) as Record<string, never>];
};
const refund = (height: bigint, type = "inference_invalid", owner = client) => ({
  height,
  txs: [],
  events: [
    {
      type,
      attributes: Object.entries({ client: owner, inference_id: "ab", executor: "karat1x", refund: "9" }).map(
        ([key, value]) => ({ key, value }),
      ),
    },
  ],
});

describe("what the chain knows", () => {
  test("the life of an inference, in plain JSON", async () => {
    const [status, body] = await get(`/karat/v1/inferences/${toHex(inferenceId)}`);
    expect(status).toBe(200);
    expect(body).toMatchObject({
      inference: {
        id: toHex(inferenceId),
        status: "finished",
        finish_reason: "length",
        cost: "5",
        anchor_height: "99",
      },
      check: { status: "pending", duties: [{ validator: "karat1v", verdict: "unspecified", deadline_height: "110" }] },
      draw: null,
    });
  });

  test("the proof of an inference, when it is asked for; null while no header tells of its state", async () => {
    const at = `/karat/v1/inferences/${toHex(inferenceId)}`;
    expect((await get(at))[1]).not.toHaveProperty("proof");
    expect((await get(`${at}?prove=1`))[1]).toHaveProperty("proof", null);
    proof = {
      height: 7n,
      storeName: "inference",
      key: Uint8Array.of(1),
      value: Uint8Array.of(2),
      proofOps: [{ type: "ics23:simple", key: Uint8Array.of(1), data: Uint8Array.of(3) }],
    };
    expect((await get(`${at}?prove=1`))[1]).toHaveProperty("proof", {
      height: "7",
      store_name: "inference",
      key: "01",
      value: "02",
      proof_ops: [{ type: "ics23:simple", key: "01", data: "03" }],
    });
    expect((await get(`${at}?prove=yes`))[0]).toBe(400);
  });

  test.each([
    ["/karat/v1/inferences/zz", 400],
    [`/karat/v1/inferences/${"00".repeat(32)}`, 404],
    ["/karat/v1/epochs/current", 200],
    ["/karat/v1/epochs/3", 200],
    ["/karat/v1/epochs/4", 404],
    ["/karat/v1/epochs/latest", 400],
    ["/karat/v1/participants", 200],
    ["/karat/v1/nothing", 404],
    // Percent signs that encode nothing were a 500.
    ["/karat/v1/inferences/%ff", 404],
  ])("%s answers %i", async (at, status) => {
    expect((await get(at))[0]).toBe(status);
  });

  test("is readable from web pages", async () => {
    const response = await fetch(`${url}/karat/v1/participants`, { method: "OPTIONS" });
    expect([response.status, response.headers.get("access-control-allow-origin")]).toEqual([204, "*"]);
  });
});

describe("a client", () => {
  test("sees its deposit with its key only", async () => {
    expect((await get("/karat/v1/account"))[0]).toBe(401);
    const [, body] = await get("/karat/v1/account", key);
    expect(body).toEqual({
      address: client,
      deposit: { available: "100", locked: "7", refunding: "30", refund_height: "0", spendable: "70" },
    });
  });

  test("reads its notices on from where it was, and nobody else's", async () => {
    await notices.take(refund(7n));
    await notices.take(refund(8n, "inference_missed"));
    await notices.take(refund(8n, "inference_missed")); // a block that is followed again
    await notices.take(refund(9n, "inference_invalid", "karat1other"));
    const [, { notices: all }] = (await get("/karat/v1/notices", key)) as unknown as [
      number,
      { notices: { id: string; type: string }[] },
    ];
    expect(all.map(({ type }) => type)).toEqual(["invalid", "missed"]);
    const [, rest] = await get(`/karat/v1/notices?after=${all[0]!.id}`, key);
    expect(rest).toMatchObject({ notices: [{ type: "missed", height: "8", refund: "9" }] });
  });

  test("hears what a false answer cost its executor, and of its exclusion when it was cheated by it", async () => {
    const event = (type: string, values: Record<string, string>) => ({
      type,
      attributes: Object.entries(values).map(([name, value]) => ({ key: name, value })),
    });
    const fined = event("participant_fined", { participant: "karat1x", amount: "1000" });
    const excluded = event("participant_excluded", { participant: "karat1x", slashed: "200" });
    const stranger = event("participant_excluded", { participant: "karat1y", slashed: "300" });
    await notices.take({ ...refund(17n), events: [fined, ...refund(17n).events, fined] });
    await notices.take({ ...refund(18n), events: [stranger, excluded] });
    const [, { notices: all }] = (await get("/karat/v1/notices?after=0000000000000016", key)) as unknown as [
      number,
      { notices: object[] },
    ];
    expect(all).toMatchObject([
      { type: "invalid", executor: "karat1x", refund: "9", penalty: "1000" },
      { type: "excluded", executor: "karat1x", refund: "0", penalty: "200", inference_id: "" },
    ]);
  });

  test("hears of them as they come", async () => {
    await notices.take(refund(7n));
    const leave = new AbortController();
    const response = await fetch(`${url}/karat/v1/notices?stream=1`, { headers: key, signal: leave.signal });
    let heard = "";
    const reading = (async () => {
      for await (const chunk of response.body!) heard += Buffer.from(chunk).toString();
    })().catch(() => undefined);
    await vi.waitFor(() => expect(heard).toContain('"height":"7"'));
    await notices.take(refund(8n));
    await vi.waitFor(() => expect(heard).toContain('"height":"8"'));
    leave.abort();
    await reading;
  });
});

describe("payloads", () => {
  const bytes = utf8("a request");
  const at = `/karat/v1/payloads/${toHex(sha256(bytes))}`;
  const signed = (as = peer, path = at) =>
    new PeerAuthentication(view, as).headers(me.operator, "GET", path, new Uint8Array());

  test("are for peers that sign", async () => {
    await payloads.put({ hash: sha256(bytes), bytes });
    const response = await fetch(url + at, { headers: signed() });
    expect(Buffer.from(await response.arrayBuffer()).toString()).toBe("a request");
    expect((await get(at))[0]).toBe(401);
    expect((await get(at, signed(newIdentity())))[0]).toBe(401);
    const other = `/karat/v1/payloads/${"00".repeat(32)}`;
    expect((await get(other, signed()))[0]).toBe(401);
    expect((await get(other, signed(peer, other)))[0]).toBe(404);
  });

  test("give way oldest first when the quota is reached, and when their time is over", async () => {
    let now = 1_000;
    const store = new PayloadStore(database, { log: silentLogger, quotaBytes: 25, retentionMs: 1_000, now: () => now });
    const blob = (n: number) => ({ hash: sha256(utf8(String(n))), bytes: new Uint8Array(10).fill(n) });
    const kept = () => [1, 2, 3, 4].filter((n) => store.get(toHex(blob(n).hash)));
    for (const n of [1, 2, 3]) {
      await store.put(blob(n));
      now += 10;
    }
    expect(kept()).toEqual([2, 3]);
    expect(store.size).toBe(20);
    now += 1_000;
    await store.put(blob(4));
    expect(kept()).toEqual([4]);
    await store.put({ hash: sha256(utf8("5")), bytes: new Uint8Array(26) });
    expect(store.size).toBe(10);
  });
});

test("readiness gives its reasons", async () => {
  expect((await get("/readyz"))[0]).toBe(200);
  reasons.push("no_ml_node");
  expect(await get("/readyz")).toEqual([503, { status: "not_ready", reasons: ["no_ml_node"] }]);
  expect((await get("/healthz"))[0]).toBe(200);
});

describe("the administrator", () => {
  test("needs the token, and adds, drains and removes ML nodes", async () => {
    const ml = await FakeMlNode.start();
    const pool = new MlPool({ log: silentLogger, idleMs: 1_000 });
    const outbox = new Outbox(database);
    const queue = new EmbeddedQueue(database, "admin", silentLogger);
    const kept = vi.fn(async () => undefined);
    const fetcher = new PayloadFetcher({
      store: payloads,
      view,
      authentication: new PeerAuthentication(view, peer),
      log: silentLogger,
    });
    const modules = {
      ml: pool,
      onMlChanged: kept,
      outbox,
      height: () => 1n,
      queue,
      payloads: fetcher,
      metrics: createMetrics({ process: false }),
      token: "secret",
    };
    const admin = await listen(
      { hot: new Map(), other: createApp([adminRoutes(modules)], silentLogger) },
      "127.0.0.1",
      0,
    );
    const call = async (
      method: string,
      at: string,
      body?: object,
      token = "secret",
    ): Promise<[number, Record<string, never>]> => {
      const response = await fetch(`http://127.0.0.1:${admin.port}${at}`, {
        method,
        headers: { authorization: `Bearer ${token}` },
        ...(body ? { body: JSON.stringify(body) } : {}),
      });
      const text = await response.text();
      return [response.status, text.startsWith("{") ? JSON.parse(text) : {}];
    };
    try {
      expect((await call("GET", "/metrics", undefined, "guess"))[0]).toBe(401);
      expect((await call("GET", "/metrics"))[0]).toBe(200);
      expect((await call("POST", "/admin/v1/ml-nodes", { url: "nonsense" }))[0]).toBe(400);
      expect(await call("POST", "/admin/v1/ml-nodes", { url: ml.url })).toMatchObject([
        201,
        { nodes: [{ url: ml.url, healthy: true }] },
      ]);
      expect(kept).toHaveBeenCalledTimes(1);
      const lease = pool.lease(TEST_MODEL)!;
      expect(await call("POST", "/admin/v1/ml-nodes/drain", { url: ml.url })).toMatchObject([
        200,
        { nodes: [{ enabled: false, running: 1 }] },
      ]);
      expect(kept).toHaveBeenCalledTimes(2);
      expect(pool.configs()).toEqual([{ url: ml.url, enabled: false }]);
      expect(pool.lease(TEST_MODEL)).toBeUndefined();
      expect(await call("DELETE", "/admin/v1/ml-nodes", { url: ml.url })).toMatchObject([200, { nodes: [] }]);
      // Removed, but what runs on it ends first.
      await expect(lease.node.models(AbortSignal.timeout(5_000))).resolves.toHaveLength(1);
      lease.release();
      await expect(lease.node.models(AbortSignal.timeout(5_000))).rejects.toThrow();
      expect((await call("DELETE", "/admin/v1/ml-nodes", { url: ml.url }))[0]).toBe(404);
      expect(await call("GET", "/admin/v1/records")).toEqual([
        200,
        { outbox: 0, dead: 0, jobs: { waiting: 0, active: 0, failed: 0 } },
      ]);
      expect((await call("POST", "/admin/v1/dead-letters/retry", { key: "none" }))[0]).toBe(404);
    } finally {
      await admin.close(0);
      await fetcher.close();
      await queue.close();
      await pool.close();
      await ml.close();
    }
  });
});

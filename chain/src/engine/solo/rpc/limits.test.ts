import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { crashOptions } from "../../testing/crash.ts";
import { KvApp } from "../../testing/kv-app.ts";
import { post, type Reply, rpc, WsClient } from "../../testing/rpc-client.ts";
import { temporaryFolder } from "../../testing/temporary.ts";
import { SoloEngine } from "../engine.ts";

const folder = temporaryFolder();
let engine: SoloEngine;
beforeAll(async () => {
  const application = new KvApp(join(folder.path, "app"));
  engine = await SoloEngine.open({ ...crashOptions(folder.path), application, mempool: { maxTxBytes: 100 } });
});
afterAll(async () => {
  await engine.stop();
  folder.remove();
});

test("a body over a megabyte is refused", async () => {
  const tx = "a".repeat(1024 * 1024);
  const reply = await post(
    engine.rpcUrl,
    JSON.stringify({ jsonrpc: "2.0", id: 1, method: "check_tx", params: { tx } }),
  );
  expect(reply.status).toBe(400);
  expect(JSON.parse(reply.body)).toMatchObject({ error: { code: -32600 } });
  expect((await rpc(engine.rpcUrl, "health")).result).toEqual({});
});

test("a batch over a hundred calls is refused", async () => {
  const call = { jsonrpc: "2.0", id: 1, method: "health" };
  const all = JSON.parse((await post(engine.rpcUrl, JSON.stringify(Array(100).fill(call)))).body) as Reply[];
  expect(all).toHaveLength(100);
  const refused = JSON.parse((await post(engine.rpcUrl, JSON.stringify(Array(101).fill(call)))).body) as Reply;
  expect(refused.error?.code).toBe(-32600);
});

test("a transaction over the limit is refused before the application sees it", async () => {
  const tx = Buffer.from(`a=${"b".repeat(100)}`).toString("base64");
  expect((await rpc(engine.rpcUrl, "broadcast_tx_sync", { tx })).error?.data).toMatch(/^Tx too large. Max size is 100/);
});

test("a websocket message over a megabyte closes the connection, and only that one", async () => {
  const [large, other] = [await WsClient.connect(engine.rpcUrl), await WsClient.connect(engine.rpcUrl)];
  const closed = large.closed();
  large.send("a".repeat(1024 * 1024 + 1));
  await closed;
  expect((await other.call(1, "health")).result).toEqual({});
  other.close();
});

test("what is not a call is answered without harm", async () => {
  for (const body of [
    "null",
    "5",
    '"x"',
    "[]",
    "[null]",
    '{"id":1}',
    '{"id":null,"method":"health"}',
    '{"id":{},"method":"x"}',
  ]) {
    const { status } = await post(engine.rpcUrl, body);
    expect({ body, status }).toEqual({ body, status: 200 });
  }
  const ws = await WsClient.connect(engine.rpcUrl);
  for (const text of ["null", "5", "[]", '{"method":"health"}']) ws.send(text);
  expect((await ws.call(1, "health")).result).toEqual({});
  ws.close();
});

test("browsers of any origin may ask", async () => {
  const options = await fetch(engine.rpcUrl, { method: "OPTIONS" });
  expect([options.status, options.headers.get("access-control-allow-origin")]).toEqual([204, "*"]);
  expect((await fetch(engine.rpcUrl, { method: "PUT" })).status).toBe(405);
});

import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import { headerHash } from "../consensus/hashes.ts";
import type { RpcHeader } from "../rpcTypes.ts";
import { crashOptions, startSolo } from "../testing/crash.ts";
import { KvApp, type KvFaults } from "../testing/kv-app.ts";
import { rpc } from "../testing/rpc-client.ts";
import { headerOfJson } from "../testing/rpc-json.ts";
import { temporaryFolder } from "../testing/temporary.ts";
import { SoloEngine } from "./engine.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function newFolder(): string {
  const folder = temporaryFolder();
  cleanups.push(folder.remove);
  return folder.path;
}

async function open(
  dir: string,
  faults: KvFaults = {},
  more: object = {},
): Promise<{ app: KvApp; engine: SoloEngine }> {
  const app = new KvApp(join(dir, "app"), faults);
  const engine = await SoloEngine.open({ ...crashOptions(dir), application: app, ...more });
  cleanups.push(() => engine.stop());
  return { app, engine };
}

const send = (engine: { rpcUrl: string }, tx: string) =>
  rpc(engine.rpcUrl, "broadcast_tx_commit", { tx: Buffer.from(tx).toString("base64") });
const untilHeight = async (engine: SoloEngine, height: bigint) => {
  while (engine.height < height) await delay(5);
};

interface BlockReply {
  block_id: { hash: string };
  block: { header: RpcHeader; data: { txs: string[] } };
}

/** Walks the whole chain over the RPC: every header hashes to its id and names the block before it, and time rises. */
async function checkChain(engine: SoloEngine): Promise<string[]> {
  const txs: string[] = [];
  let before: BlockReply | undefined;
  const last = engine.height;
  for (let height = 1n; height <= last; height++) {
    const reply = (await rpc(engine.rpcUrl, "block", { height: height.toString() })).result as BlockReply;
    expect(
      Buffer.from(headerHash(headerOfJson(reply.block.header)))
        .toString("hex")
        .toUpperCase(),
    ).toBe(reply.block_id.hash);
    if (before) {
      expect(reply.block.header.last_block_id.hash).toBe(before.block_id.hash);
      expect(Date.parse(reply.block.header.time)).toBeGreaterThan(Date.parse(before.block.header.time));
    }
    txs.push(...reply.block.data.txs.map((tx) => Buffer.from(tx, "base64").toString()));
    before = reply;
  }
  return txs;
}

describe("after a crash", () => {
  test.each(["before-finalize", "after-finalize", "before-persist", "after-persist"] as const)(
    "%s, the chain goes on from the same block",
    async (point) => {
      const dir = newFolder();
      const { child, died } = startSolo(dir, { height: 4n, point });
      cleanups.push(() => child.kill("SIGKILL"));
      expect(await died).toBe("SIGKILL");
      const { app, engine } = await open(dir);
      await untilHeight(engine, 6n);
      expect(app.finalized[0]?.height).toBe(point === "after-persist" ? 5n : 4n);
      expect(app.calls.filter((call) => call === "initChain")).toEqual([]);
      await checkChain(engine);
    },
  );

  test("at whatever moment it was killed, nothing acknowledged is lost and no block is made twice", async () => {
    const dir = newFolder();
    const acknowledged: string[] = [];
    for (let round = 0; round < 3; round++) {
      const { child, ready, died } = startSolo(dir);
      cleanups.push(() => child.kill("SIGKILL"));
      const rpcUrl = await ready;
      expect(rpcUrl).toBeDefined();
      const stopAfter = 3 + round * 4;
      for (let at = 0; at < stopAfter; at++) {
        const tx = `round${round}=${at}`;
        const reply = await send({ rpcUrl: rpcUrl! }, tx);
        expect(reply.result).toMatchObject({ tx_result: { code: 0 } });
        acknowledged.push(tx);
      }
      await delay(round);
      child.kill("SIGKILL");
      await died;
    }
    const { engine } = await open(dir);
    expect(await checkChain(engine)).toEqual(acknowledged);
    const found = await rpc(engine.rpcUrl, "tx_search", { query: "set.key='round2'" });
    expect(found.result).toMatchObject({ total_count: "11" });
  });

  test("an application that lost its state is replayed from the genesis", async () => {
    const dir = newFolder();
    const first = await open(dir);
    await send(first.engine, "a=1");
    await first.engine.stop();
    const height = first.engine.height;
    rmSync(join(dir, "app"), { recursive: true });
    const { app, engine } = await open(dir);
    expect(app.calls[0]).toBe("initChain");
    expect(app.finalized.map((request) => request.height).slice(0, 2)).toEqual([1n, 2n]);
    expect(engine.height).toBeGreaterThanOrEqual(height);
    expect(
      (await rpc(engine.rpcUrl, "abci_query", { path: "/key", data: Buffer.from("a").toString("hex") })).result,
    ).toMatchObject({ response: { value: Buffer.from("1").toString("base64") } });
  });

  test("an application some blocks behind gets just those again", async () => {
    const dir = newFolder();
    const first = await open(dir);
    await untilHeight(first.engine, 2n);
    await first.engine.stop();
    const behind = first.engine.height;
    cpSync(join(dir, "app"), join(dir, "old-app"), { recursive: true });
    const second = await open(dir);
    await untilHeight(second.engine, behind + 3n);
    await second.engine.stop();
    rmSync(join(dir, "app"), { recursive: true });
    cpSync(join(dir, "old-app"), join(dir, "app"), { recursive: true });
    const { app, engine } = await open(dir);
    expect(app.calls).not.toContain("initChain");
    expect(app.finalized[0]?.height).toBe(behind + 1n);
    await checkChain(engine);
  });
});

describe("a start is refused", () => {
  test("when the application is ahead of the blocks", async () => {
    const dir = newFolder();
    const first = await open(dir);
    await untilHeight(first.engine, 3n);
    await first.engine.stop();
    rmSync(join(dir, "blocks"), { recursive: true });
    await expect(open(dir)).rejects.toMatchObject({ code: "engine/app-ahead" });
  });

  test("when the store is of another chain", async () => {
    const dir = newFolder();
    const first = await open(dir);
    await first.engine.stop();
    const { genesis } = crashOptions(dir);
    const other = { genesis: { ...genesis, chain_id: "other-1" } };
    await expect(open(dir, {}, other)).rejects.toMatchObject({ code: "engine/other-chain" });
  });

  test("when the application answers differently on replay", async () => {
    const dir = newFolder();
    const first = await open(dir);
    await send(first.engine, "a=1");
    await first.engine.stop();
    rmSync(join(dir, "app"), { recursive: true });
    const { genesis } = crashOptions(dir);
    const changed = { genesis: { ...genesis, app_state: { start: "2" } } };
    await expect(open(dir, {}, changed)).rejects.toMatchObject({ code: "engine/replay-diverged" });
  });

  test("when blocks that the application lacks were pruned", async () => {
    const dir = newFolder();
    const first = await open(dir, {}, { retainBlocks: 3 });
    await untilHeight(first.engine, 8n);
    await first.engine.stop();
    rmSync(join(dir, "app"), { recursive: true });
    await expect(open(dir)).rejects.toMatchObject({ code: "engine/app-too-old" });
  });

  test("when the port is taken", async () => {
    const first = await open(newFolder());
    const port = Number(new URL(first.engine.rpcUrl).port);
    const dir = newFolder();
    const taken = { rpc: { host: "127.0.0.1", port } };
    await expect(open(dir, {}, taken)).rejects.toMatchObject({ code: "engine/rpc-listen" });
    // What was refused left nothing open: the same folder starts.
    await open(dir);
  });
});

test("an exception in FinalizeBlock halts the engine with its reason", async () => {
  const { engine } = await open(newFolder(), { failAtHeight: 3n });
  await expect(engine.finished).rejects.toThrow("told to fail");
  expect(engine.height).toBe(2n);
  await expect(fetch(engine.rpcUrl)).rejects.toThrow();
});

test("an exception in any other call halts it too, as it would CometBFT", async () => {
  const { app, engine } = await open(newFolder());
  app.query = () => {
    throw new Error("a broken query");
  };
  await rpc(engine.rpcUrl, "abci_query", { path: "/key" }).catch(() => undefined);
  await expect(engine.finished).rejects.toThrow("a broken query");
});

test("an aborted signal ends the engine in order", async () => {
  const aborter = new AbortController();
  const { engine } = await open(newFolder(), {}, { signal: aborter.signal });
  aborter.abort();
  await expect(engine.finished).resolves.toBeUndefined();
});

test("retention forgets old blocks with their index entries and keeps the rest whole", async () => {
  const dir = newFolder();
  const { engine } = await open(dir, {}, { retainBlocks: 5 });
  const sent = (await send(engine, "old=1")).result as { height: string; hash: string };
  await untilHeight(engine, BigInt(sent.height) + 10n);
  const status = (await rpc(engine.rpcUrl, "status")).result as { sync_info: Record<string, string> };
  const { earliest_block_height: base, latest_block_height: latest } = status.sync_info;
  expect(BigInt(latest!) - BigInt(base!)).toBeLessThanOrEqual(5n);
  expect((await rpc(engine.rpcUrl, "block", { height: sent.height })).error?.data).toMatch(
    /is not available, lowest height/,
  );
  const hash = Buffer.from(sent.hash, "hex").toString("base64");
  expect((await rpc(engine.rpcUrl, "tx", { hash })).error?.data).toMatch(/not found/);
  expect((await rpc(engine.rpcUrl, "tx_search", { query: "set.key='old'" })).result).toMatchObject({
    total_count: "0",
  });
  expect((await rpc(engine.rpcUrl, "validators")).result).toMatchObject({ total: "1" });
});

test("block time rises even where the genesis is ahead of the clock", async () => {
  const dir = newFolder();
  const genesis = { ...crashOptions(dir).genesis, genesis_time: new Date(Date.now() + 3_600_000).toISOString() };
  const { engine } = await open(dir, {}, { genesis });
  await untilHeight(engine, 4n);
  await checkChain(engine);
});

test("calls come in CometBFT's order", async () => {
  const { app, engine } = await open(newFolder(), {}, { blockTimeMs: 60_000 });
  expect(app.calls).toEqual(["initChain", "prepareProposal", "processProposal", "finalizeBlock", "commit"]);
  expect(engine.height).toBe(1n);
});

test("without transactions blocks wait for the idle time, a transaction wakes the engine", async () => {
  const { engine } = await open(newFolder(), {}, { blockTimeMs: 5, blockTimeIdleMs: 60_000 });
  expect(engine.height).toBe(1n);
  const sent = await send(engine, "a=1");
  expect(sent.result).toMatchObject({ height: "2" });
});

import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "@karat/common";
import * as abci from "cosmjs-types/tendermint/abci/types";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { LmdbCommitStore, MemoryCommitStore, SNAPSHOT_FORMAT } from "../store/index.ts";
import { createKaratApp, STORES } from "./compose.ts";
import { FileSnapshots } from "./fileSnapshots.ts";
import { AppHarness, coreComposition, type Signer, sendMessage } from "./testing/index.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "karat-snapshots-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

/** A node with blocks that makes a snapshot every three of them. */
async function source() {
  const store = new MemoryCommitStore(STORES);
  const snapshots = new FileSnapshots({ store, dir, interval: 3, log: silentLogger });
  const harness = new AppHarness({ clients: 2, composition: coreComposition(), store, snapshots });
  const [from, to] = harness.clients as [Signer, Signer];
  while (harness.height < 6n) {
    harness.deliver([harness.tx(from, sendMessage(from, to, 1n))]);
    if (harness.height % 3n === 0n)
      await vi.waitFor(() => expect(existsSync(join(dir, `${harness.height}`))).toBe(true));
  }
  return { harness, app: harness.app, appHash: store.appHash() };
}

function target(path: string) {
  const store = LmdbCommitStore.open({ path, ...STORES });
  const snapshots = new FileSnapshots({ store, dir: join(path, "own"), interval: 0, log: silentLogger });
  return { store, app: createKaratApp({ store, log: silentLogger, composition: coreComposition(), snapshots }) };
}

const { ACCEPT, RETRY, REJECT_SNAPSHOT } = abci.ResponseApplySnapshotChunk_Result;

describe("state sync", () => {
  test("brings a fresh node to the same state, which then goes on", async () => {
    const { harness, app, appHash } = await source();
    expect(app.listSnapshots().snapshots.map(({ height }) => height)).toEqual([6n, 3n]);
    const snapshot = app.listSnapshots().snapshots[0]!;
    const path = mkdtempSync(join(tmpdir(), "karat-synced-"));
    const fresh = target(path);
    try {
      const offer = fresh.app.offerSnapshot({ snapshot, appHash });
      expect(offer.result).toBe(abci.ResponseOfferSnapshot_Result.ACCEPT);
      for (let index = 0; index < snapshot.chunks; index++) {
        const { chunk } = app.loadSnapshotChunk({ height: 6n, format: SNAPSHOT_FORMAT, chunk: index });
        const wrong = fresh.app.applySnapshotChunk({ index, chunk: chunk.slice(1), sender: "peer" });
        expect(wrong).toEqual({ result: RETRY, refetchChunks: [index], rejectSenders: ["peer"] });
        expect(fresh.app.applySnapshotChunk({ index, chunk, sender: "peer" }).result).toBe(ACCEPT);
      }
      expect(fresh.app.info()).toMatchObject({ lastBlockHeight: 6n, lastBlockAppHash: appHash });
      expect(fresh.app.chainId).toBe(harness.chainId);
      const [from, to] = harness.clients as [Signer, Signer];
      const tx = harness.tx(from, sendMessage(from, to, 1n));
      expect(fresh.app.checkTx({ tx, type: 0 }).code).toBe(0);
      const next = fresh.app.finalizeBlock(harness.finalizeRequest([tx]));
      expect(next.appHash).toEqual(harness.deliver([tx]).appHash);
    } finally {
      fresh.store.close();
      rmSync(path, { recursive: true });
    }
  });

  test("refuses a state that is not the trusted one, and stays fresh", async () => {
    const { app } = await source();
    const snapshot = app.listSnapshots().snapshots[0]!;
    const path = mkdtempSync(join(tmpdir(), "karat-synced-"));
    const fresh = target(path);
    try {
      fresh.app.offerSnapshot({ snapshot, appHash: new Uint8Array(32) });
      const { chunk } = app.loadSnapshotChunk({ height: 6n, format: SNAPSHOT_FORMAT, chunk: 0 });
      expect(fresh.app.applySnapshotChunk({ index: 0, chunk, sender: "peer" }).result).toBe(REJECT_SNAPSHOT);
      expect(fresh.app.info().lastBlockHeight).toBe(0n);
      expect(
        fresh.app.offerSnapshot({ snapshot: { ...snapshot, format: SNAPSHOT_FORMAT + 1 }, appHash: new Uint8Array() })
          .result,
      ).toBe(abci.ResponseOfferSnapshot_Result.REJECT_FORMAT);
      expect(fresh.app.offerSnapshot({ snapshot: { ...snapshot, chunks: 9 }, appHash: new Uint8Array() }).result).toBe(
        abci.ResponseOfferSnapshot_Result.REJECT,
      );
    } finally {
      fresh.store.close();
      rmSync(path, { recursive: true });
    }
  });

  test("keeps the newest snapshots only, and serves nothing that is not there", async () => {
    const { harness, app } = await source();
    harness.jump(3);
    await vi.waitFor(() => expect(app.listSnapshots().snapshots.map(({ height }) => height)).toEqual([9n, 6n]));
    expect(readdirSync(dir).sort()).toEqual(["6", "9"]);
    expect(app.loadSnapshotChunk({ height: 3n, format: SNAPSHOT_FORMAT, chunk: 0 }).chunk.length).toBe(0);
    expect(app.loadSnapshotChunk({ height: 9n, format: SNAPSHOT_FORMAT, chunk: 7 }).chunk.length).toBe(0);
  });
});

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { utf8 } from "@karat/common";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { changesArbitrary, code, content } from "./conformance.ts";
import { LmdbCommitStore } from "./lmdb.ts";
import { MemoryCommitStore } from "./memory.ts";
import {
  chunkHash,
  exportSnapshot,
  SNAPSHOT_FORMAT,
  SnapshotImport,
  type SnapshotOffer,
  snapshotOffer,
} from "./snapshot.ts";
import { changesOfHeight } from "./testing/crashBlocks.ts";
import type { TreeCommitStore, TreeStoreOptions } from "./treeStore.ts";

const names = ["alpha", "beta", "empty"];
const folder = mkdtempSync(join(tmpdir(), "karat-snapshot-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let opened = 0;
type Limits = Pick<TreeStoreOptions, "pruneKeep" | "holdLimit">;
const onDisk = (limits: Limits = {}) =>
  LmdbCommitStore.open({ ...limits, path: join(folder, `${opened++}`), names, cacheBytes: 4096 });
const inMemory = (limits: Limits = {}) => new MemoryCommitStore({ ...limits, names });

/** A state with a history: nodes of many versions, deletions, two stores in use. */
function grown(store: TreeCommitStore, blocks = 30n): TreeCommitStore {
  for (let height = 1n; height <= blocks; height++) {
    const changes = changesOfHeight(height);
    store.stage(height, new Map([["alpha", changes], ...(height % 3n === 0n ? [["beta", changes] as const] : [])]));
    store.commit();
  }
  return store;
}

function take(store: TreeCommitStore, height = store.height(), chunkBytes = 1000) {
  const chunks = Array.from(exportSnapshot(store, height, chunkBytes), (chunk) => new Uint8Array(chunk));
  return { chunks, offer: snapshotOffer(height, chunks.map(chunkHash)), appHash: store.treesAt(height).appHash };
}

function restore(into: TreeCommitStore, chunks: readonly Uint8Array[], offer: SnapshotOffer): SnapshotImport {
  const work = new SnapshotImport(into, offer);
  chunks.forEach((chunk, index) => {
    work.addChunk(index, chunk);
  });
  return work;
}

/** A snapshot of one hand-made chunk whose hash is right. */
const forged = (...bytes: number[]) => {
  const chunk = Uint8Array.from(bytes);
  return { chunk, offer: snapshotOffer(9n, [chunkHash(chunk)]) };
};

for (const [kind, make] of [
  ["memory", inMemory],
  ["lmdb", onDisk],
] as const) {
  describe(`snapshot into ${kind}`, () => {
    it("gives the same state, which goes on in the same way", () => {
      const source = grown(make());
      const { chunks, offer, appHash } = take(source);
      expect(chunks.length).toBeGreaterThan(3);
      for (const chunk of chunks) expect(chunk.length).toBeLessThanOrEqual(1000);
      const target = make();
      restore(target, chunks, offer).finish(appHash, new Map([["tag", utf8("x")]]));
      expect(target.height()).toBe(30n);
      expect(target.appHash()).toEqual(source.appHash());
      expect(target.meta("tag")).toEqual(utf8("x"));
      for (const name of names) expect(content(target, name)).toEqual(content(source, name));
      for (let height = 31n; height <= 40n; height++) {
        const changes = new Map([["beta", changesOfHeight(height)]]);
        expect(target.stage(height, changes), `${height}`).toEqual(source.stage(height, changes));
        target.commit();
        source.commit();
      }
      const key = changesOfHeight(3n)[0]![0];
      expect(target.prove("beta", key).proofOps).toEqual(source.prove("beta", key).proofOps);
      expect(code(() => target.prove("beta", key, 29n))).toBe("height_unavailable");
      source.close();
      target.close();
    });

    it("takes an earlier height while the chain goes on", () => {
      const source = grown(make(), 20n);
      const early = source.appHash();
      const stream = exportSnapshot(source, 20n, 500);
      const chunks = [new Uint8Array(stream.next().value as Uint8Array)];
      for (let height = 21n; height <= 140n; height++) {
        source.stage(height, new Map([["alpha", changesOfHeight(height)]]));
        source.commit();
      }
      for (const chunk of stream) chunks.push(new Uint8Array(chunk));
      const target = make();
      restore(target, chunks, snapshotOffer(20n, chunks.map(chunkHash))).finish(early);
      expect(target.appHash()).toEqual(early);
      source.stage(141n, new Map());
      source.commit();
      expect(code(() => exportSnapshot(source, 20n).next())).toBe("height_unavailable");
      source.close();
      target.close();
    });

    it("gives up when its consumer is too slow", () => {
      const source = grown(make({ pruneKeep: 2, holdLimit: 5 }), 20n);
      const stream = exportSnapshot(source, 20n, 500);
      stream.next();
      for (let height = 21n; height <= 30n; height++) {
        source.stage(height, new Map([["alpha", changesOfHeight(height)]]));
        source.commit();
      }
      expect(code(() => stream.next())).toBe("height_unavailable");
      source.close();
    });

    it("does not take a chunk that was not offered, and goes on with the right one", () => {
      const source = grown(make());
      const { chunks, offer, appHash } = take(source);
      const target = make();
      const work = new SnapshotImport(target, offer);
      const wrong = new Uint8Array(chunks[0]!);
      wrong[wrong.length - 1]! ^= 1;
      expect(code(() => work.addChunk(0, wrong))).toBe("snapshot_chunk_hash");
      expect(code(() => work.addChunk(1, chunks[1]!))).toBe("snapshot_chunk_order");
      expect(code(() => work.finish(appHash))).toBe("snapshot_incomplete");
      chunks.forEach((chunk, index) => {
        work.addChunk(index, chunk);
      });
      expect(work.nextChunk).toBe(chunks.length);
      work.finish(appHash);
      expect(target.appHash()).toEqual(appHash);
      expect(code(() => new SnapshotImport(target, offer))).toBe("store_not_empty");
      work.abort();
      expect(content(target, "alpha")).toEqual(content(source, "alpha"));
      source.close();
      target.close();
    });

    it("leaves a fresh store behind where the app hash is not the trusted one", () => {
      const source = grown(make());
      const { chunks, offer, appHash } = take(source);
      const target = make();
      const other = new Uint8Array(appHash);
      other[0]! ^= 1;
      expect(code(() => restore(target, chunks, offer).finish(other))).toBe("snapshot_app_hash");
      expect(target.height()).toBe(0n);
      expect(content(target, "alpha")).toEqual([]);
      restore(target, chunks, offer).finish(appHash);
      expect(target.height()).toBe(30n);
      source.close();
      target.close();
    });
  });
}

describe("snapshot import", () => {
  it("forgets an import that the process did not finish", () => {
    const path = join(folder, "interrupted");
    const { chunks, offer, appHash } = take(grown(new MemoryCommitStore({ names })));
    const first = LmdbCommitStore.open({ path, names });
    const work = new SnapshotImport(first, offer);
    work.addChunk(0, chunks[0]!);
    first.close();
    const second = LmdbCommitStore.open({ path, names });
    expect(content(second, "alpha")).toEqual([]);
    restore(second, chunks, offer).finish(appHash);
    expect(second.appHash()).toEqual(appHash);
    second.close();
  });

  it("refuses offers that cannot be right", () => {
    const { offer } = take(grown(new MemoryCommitStore({ names })));
    const bad: SnapshotOffer[] = [
      { ...offer, format: SNAPSHOT_FORMAT + 1 },
      { ...offer, height: 0n },
      { ...offer, height: offer.height + 1n },
      { ...offer, chunks: offer.chunks + 1 },
      { ...offer, metadata: offer.metadata.map((byte) => byte ^ 1) },
      snapshotOffer(5n, []),
    ];
    for (const each of bad) {
      expect(code(() => new SnapshotImport(new MemoryCommitStore({ names }), each))).toBe("snapshot_refused");
    }
  });

  const alpha = [1, 5, ...Buffer.from("alpha")];
  const leaf = (key: number, version = 1) => [2, version, 1, key, 0];
  const inner = (version = 1) => [3, version];
  it.each([
    ["a store that is not known", [1, 5, ...Buffer.from("gamma")]],
    ["a store twice", [...alpha, ...alpha]],
    ["a node without a store", leaf(1)],
    ["an unknown record", [...alpha, 9]],
    ["a record that is cut off", [...alpha, 2, 1, 4, 1]],
    ["keys out of order", [...alpha, ...leaf(2), ...leaf(1), ...inner()]],
    ["a key twice", [...alpha, ...leaf(1), ...leaf(1), ...inner()]],
    ["an empty key", [...alpha, 2, 1, 0, 0]],
    ["an inner node without children", [...alpha, ...leaf(1), ...inner()]],
    ["a node older than its child", [...alpha, ...leaf(1, 3), ...leaf(2), ...inner(2)]],
    ["a node from the future", [...alpha, ...leaf(1, 10)]],
    [
      "a tree out of balance",
      [...alpha, ...leaf(1), ...leaf(2), ...leaf(3), ...leaf(4), ...inner(), ...inner(), ...inner()],
    ],
    ["several roots", [...alpha, ...leaf(1), ...leaf(2), 1, 4, ...Buffer.from("beta")]],
  ])("refuses %s, though its hash is right", (_, bytes) => {
    const { chunk, offer } = forged(...bytes);
    const store = new MemoryCommitStore({ names });
    const work = new SnapshotImport(store, offer);
    expect(code(() => work.addChunk(0, chunk))).toBe("snapshot_malformed");
    expect(work.nextChunk).toBe(-1);
    expect(content(store, "alpha")).toEqual([]);
  });

  it("carries any state", () => {
    fc.assert(
      fc.property(fc.array(changesArbitrary, { maxLength: 8 }), changesArbitrary, (blocks, more) => {
        const source = new MemoryCommitStore({ names });
        source.stage(1n, new Map());
        source.commit();
        blocks.forEach((changes, index) => {
          source.stage(BigInt(index + 2), new Map([["beta", changes]]));
          source.commit();
        });
        const { chunks, offer, appHash } = take(source, source.height(), 100);
        const target = new MemoryCommitStore({ names });
        restore(target, chunks, offer).finish(appHash);
        const next = source.height() + 1n;
        const changes = new Map([["beta", more]]);
        expect(target.stage(next, changes)).toEqual(source.stage(next, changes));
      }),
    );
  });
});

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toHex, utf8 } from "@karat/common";
import fc from "fast-check";
import { open } from "lmdb";
import { afterAll, describe, expect, it } from "vitest";
import { block, changesArbitrary, code, content, rangeArbitrary } from "../conformance.ts";
import { LmdbCommitStore } from "../lmdb.ts";
import { MemoryCommitStore } from "../memory.ts";
import { changesOfHeight } from "../testing/crashBlocks.ts";
import type { TreeCommitStore } from "../treeStore.ts";
import type { ChangeSet } from "../types.ts";
import { JOURNAL_STORE, keysOf, LiveSet } from "./commitment.ts";

const folder = mkdtempSync(join(tmpdir(), "karat-journal-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let opened = 0;

interface Limits {
  pruneKeep?: number;
  journalWindow?: number;
}
const names = ["alpha", "beta"];
const inMemory = (limits: Limits = {}) => new MemoryCommitStore({ ...limits, names, journaled: ["alpha"] });
const onDisk = (limits: Limits = {}, path = join(folder, `${opened++}`)) =>
  LmdbCommitStore.open({ ...limits, names, journaled: ["alpha"], path, cacheBytes: 4096 });

function commit(store: TreeCommitStore, changes: ChangeSet): Uint8Array {
  store.stage(store.height() + 1n, changes);
  return store.commit().appHash;
}

/** Heights that the commitments hold for alpha, and how many entries of each are current. */
const liveBlocks = (store: TreeCommitStore): number[][] =>
  Array.from(store.reader(JOURNAL_STORE).iterate(keysOf("alpha")))
    .filter((_, index) => index % 2 === 1)
    .map(([key, live]) => [Number(Buffer.from(key).readBigUInt64BE(key.length - 9)), [...LiveSet.decode(live)].length]);

describe("a journaled store", () => {
  it("holds commitments of the blocks whose entries are current, and of no others", () => {
    const store = inMemory();
    commit(store, block({ alpha: { a: "1", b: "1", c: "1" } }));
    commit(store, block({ alpha: { a: "2" }, beta: { z: "1" } }));
    expect(liveBlocks(store)).toEqual([
      [1, 2],
      [2, 1],
    ]);
    commit(store, block({ alpha: { b: undefined, c: "3", none: undefined } }));
    expect(liveBlocks(store)).toEqual([
      [2, 1],
      [3, 1],
    ]);
    const before = store.appHash();
    commit(store, block({ alpha: { none: undefined } }));
    expect(store.appHash()).toEqual(before);
    commit(store, block({ alpha: { a: undefined, c: undefined } }));
    expect(liveBlocks(store)).toEqual([]);
    expect(content(store, "alpha")).toEqual([]);
  });

  it("proves what was current at every kept height, in four steps, and no absence", () => {
    const store = onDisk({ pruneKeep: 3 });
    commit(store, block({ alpha: { a: "1", b: "1" } }));
    commit(store, block({ alpha: { a: "2" } }));
    commit(store, block({ alpha: { b: undefined } }));
    const { value, proofOps, height } = store.prove("alpha", utf8("a"));
    expect([value, height]).toEqual([utf8("2"), 3n]);
    expect(proofOps.map(({ type }) => type)).toEqual(["ics23:simple", "ics23:iavl", "ics23:simple", "ics23:iavl"]);
    expect(store.prove("alpha", utf8("a"), 1n).value).toEqual(utf8("1"));
    expect(store.prove("alpha", utf8("b"), 2n).value).toEqual(utf8("1"));
    expect(code(() => store.prove("alpha", utf8("b")))).toBe("absence_not_provable");
    commit(store, new Map());
    expect(code(() => store.prove("alpha", utf8("a"), 1n))).toBe("height_unavailable");
    store.close();
  });

  it("takes no writes to its commitments", () => {
    const store = inMemory();
    expect(code(() => store.stage(1n, block({ [JOURNAL_STORE]: { a: "1" } })))).toBe("unknown_store");
    expect(code(() => new MemoryCommitStore({ names, journaled: ["gamma"] }))).toBe("invalid_names");
    expect(code(() => new MemoryCommitStore({ names: ["journal"], journaled: ["journal"] }))).toBe("invalid_names");
    expect(code(() => new MemoryCommitStore({ names, journaled: ["alpha"] }).treesAt(0n))).toBeUndefined();
  });

  it("reads earlier heights like a tree does", () => {
    fc.assert(
      fc.property(fc.array(changesArbitrary, { minLength: 1, maxLength: 12 }), rangeArbitrary, (blocks, range) => {
        const trees = new MemoryCommitStore({ names, pruneKeep: 6 });
        const [memory, disk] = [
          inMemory({ pruneKeep: 6, journalWindow: 2 }),
          onDisk({ pruneKeep: 6, journalWindow: 2 }),
        ];
        for (const changes of blocks) {
          commit(trees, new Map([["alpha", changes]]));
          const hash = commit(memory, new Map([["alpha", changes]]));
          expect(commit(disk, new Map([["alpha", changes]]))).toEqual(hash);
        }
        for (let height = trees.height(); height > 0n && height > trees.height() - 6n; height--) {
          const expected = [...trees.readerAt("alpha", height).iterate(range)];
          for (const store of [memory, disk]) {
            const reader = store.readerAt("alpha", height);
            expect([...reader.iterate(range)]).toEqual(expected);
            for (const [key, value] of trees.readerAt("alpha", height).iterate()) {
              expect(reader.get(key)).toEqual(value);
              expect(store.prove("alpha", key, height).value).toEqual(value);
            }
            for (const [key] of blocks[0]!) expect(reader.has(key)).toBe(trees.readerAt("alpha", height).has(key));
          }
        }
        disk.close();
      }),
      { numRuns: 30 },
    );
  });

  it("gives the same app hash for the same state and history, whatever is kept of it", () => {
    const stores = [inMemory({ pruneKeep: 1 }), inMemory({ pruneKeep: 50 }), onDisk({ pruneKeep: 2 })];
    for (let height = 1n; height <= 60n; height++) {
      const hashes = stores.map((store) => toHex(commit(store, new Map([["alpha", changesOfHeight(height)]]))));
      expect(new Set(hashes).size).toBe(1);
    }
    for (const store of stores) store.close();
  });

  it("writes old entries anew, so that it keeps a bounded number of blocks, and forgets the rest", () => {
    const path = join(folder, "bounded");
    const store = onDisk({ pruneKeep: 3, journalWindow: 10 }, path);
    commit(store, block({ alpha: Object.fromEntries(Array.from({ length: 600 }, (_, i) => [`old${i}`, "x"])) }));
    for (let i = 0; i < 40; i++) commit(store, block({ alpha: { [`young${i % 4}`]: `${i}` } }));
    const blocks = liveBlocks(store);
    expect(blocks.reduce((sum, [, live]) => sum + live!, 0)).toBe(604);
    expect(store.height() - BigInt(blocks[0]![0]!)).toBeLessThanOrEqual(11n);
    for (const [key, value] of store.reader("alpha").iterate()) expect(store.prove("alpha", key).value).toEqual(value);
    store.close();
    // Kept: the leaves that count, those that ended in the kept heights, and how to undo these.
    const env = open({ path, noSubdir: false, maxDbs: 12, encoding: "binary", keyEncoding: "binary" });
    const records = env.openDB("journal", { encoding: "binary", keyEncoding: "binary" }).getKeysCount();
    void env.close();
    expect(records).toBeLessThanOrEqual(blocks.length + 3 * 3 + 3);
  });
});

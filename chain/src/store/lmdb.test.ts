import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { utf8 } from "@karat/common";
import { open } from "lmdb";
import { afterAll, describe, expect, it } from "vitest";
import { block, code, commitStoreConformance, content } from "./conformance.ts";
import { LmdbCommitStore } from "./lmdb.ts";
import { MemoryCommitStore } from "./memory.ts";
import { changesOfHeight } from "./testing/crashBlocks.ts";

const folders: string[] = [];
const folder = (): string => {
  const path = mkdtempSync(join(tmpdir(), "karat-store-"));
  folders.push(path);
  return path;
};
afterAll(() => {
  for (const path of folders) rmSync(path, { recursive: true, force: true });
});

// A cache of a few nodes: everything else has to come from the disk.
commitStoreConformance("LmdbCommitStore", (options) =>
  LmdbCommitStore.open({ ...options, path: folder(), cacheBytes: 4096 }),
);

describe("LmdbCommitStore on disk", () => {
  const names = ["alpha", "beta"];

  it("reopens at the last committed block", () => {
    const path = folder();
    const first = LmdbCommitStore.open({ path, names });
    for (let height = 1n; height <= 3n; height++) {
      first.stage(height, block({ alpha: { a: `${height}` }, beta: { [`k${height}`]: "v" } }));
      first.setMeta("tag", utf8(`${height}`));
      first.commit();
    }
    const appHash = first.appHash();
    first.stage(4n, block({ alpha: { a: "never" } }));
    first.close();

    const second = LmdbCommitStore.open({ path, names });
    expect(second.height()).toBe(3n);
    expect(second.appHash()).toEqual(appHash);
    expect(second.meta("tag")).toEqual(utf8("3"));
    expect(content(second, "alpha")).toEqual(["a=3"]);
    expect(second.prove("alpha", utf8("a"), 1n).value).toEqual(utf8("1"));
    const memory = new MemoryCommitStore({ names });
    for (let height = 1n; height <= 4n; height++) {
      memory.stage(height, block({ alpha: { a: `${height}` }, beta: { [`k${height}`]: "v" } }));
      memory.commit();
    }
    expect(second.stage(4n, block({ alpha: { a: "4" }, beta: { k4: "v" } }))).toEqual(memory.appHash());
    second.close();
  });

  it("takes new stores when it is reopened, but not the loss of one", () => {
    const path = folder();
    const first = LmdbCommitStore.open({ path, names: ["alpha"] });
    first.stage(1n, block({ alpha: { a: "1" } }));
    const { appHash } = first.commit();
    first.close();
    expect(code(() => LmdbCommitStore.open({ path, names: ["beta"] }))).toBe("unknown_store");
    const second = LmdbCommitStore.open({ path, names });
    expect(second.appHash()).toEqual(appHash);
    expect(second.stage(2n, new Map())).not.toEqual(appHash);
    second.commit();
    expect(second.prove("alpha", utf8("a"), 1n).value).toEqual(utf8("1"));
    second.close();
  });

  it("refuses to write where another process has written", () => {
    const path = folder();
    const first = LmdbCommitStore.open({ path, names });
    const second = LmdbCommitStore.open({ path, names });
    for (const store of [first, second]) store.stage(1n, block({ alpha: { a: "1" } }));
    first.commit();
    expect(code(() => second.commit())).toBe("corrupt_store");
    first.close();
    second.close();
  });

  it("prunes what no kept version needs, a bounded amount per block", () => {
    const path = folder();
    const store = LmdbCommitStore.open({ path, names, pruneKeep: 3, pruneBudget: 1 });
    const release: (() => void)[] = [];
    for (let height = 1n; height <= 60n; height++) {
      store.stage(height, new Map([["alpha", changesOfHeight(height)]]));
      store.commit();
      if (height === 10n) release.push(store.hold(10n));
      if (height === 30n) {
        // Held: a version that would long be gone still reads well.
        const reader = store.readerAt("alpha", 10n);
        expect([...reader.iterate()].length).toBeGreaterThan(0);
        for (const end of release) end();
      }
    }
    const reachable = new Set<number>();
    for (const height of [58n, 59n, 60n]) {
      for (const { tree } of store.treesAt(height).trees) for (const { ref } of tree.postOrder()) reachable.add(ref.id);
    }
    expect(code(() => store.readerAt("alpha", 57n))).toBe("height_unavailable");
    store.close();
    expect(countOf(path, "nodes")).toBe(reachable.size);
    expect(countOf(path, "versions")).toBe(3);
  });
});

function countOf(path: string, table: string): number {
  const env = open({ path, noSubdir: false, maxDbs: 12, encoding: "binary", keyEncoding: "binary" });
  const count = env.openDB(table, { encoding: "binary", keyEncoding: "binary" }).getKeysCount();
  void env.close();
  return count;
}

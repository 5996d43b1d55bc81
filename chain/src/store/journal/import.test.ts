/** A state sync from somebody who lies about a journaled store: every chunk has the hash that was offered. */
import { utf8 } from "@karat/common";
import { describe, expect, it } from "vitest";
import { block, code, content } from "../conformance.ts";
import { MemoryCommitStore } from "../memory.ts";
import { chunkHash, exportSnapshot, SnapshotImport, snapshotOffer } from "../snapshot.ts";

const names = ["alpha", "beta", "zeta"];
const make = () => new MemoryCommitStore({ names, journaled: ["alpha", "zeta"], pruneKeep: 5 });

function grown(): MemoryCommitStore {
  const store = make();
  const blocks: Parameters<typeof block>[0][] = [
    { alpha: { kept: "value 1", changed: "value 1", gone: "value 1" }, beta: { x: "1" } },
    { alpha: { changed: "value 2" }, zeta: { other: "value 2" } },
    { alpha: { gone: undefined, late: "value 3" } },
  ];
  for (const changes of blocks) {
    store.stage(store.height() + 1n, block(changes));
    store.commit();
  }
  return store;
}

const source = grown();
const [honest] = Array.from(exportSnapshot(source, 3n), (chunk) => Buffer.from(chunk));

/** What comes of a snapshot of one chunk. */
function outcome(chunk: Uint8Array): string | undefined {
  const store = make();
  const failed = code(() => {
    const work = new SnapshotImport(store, snapshotOffer(3n, [chunkHash(chunk)]));
    work.addChunk(0, chunk);
    work.finish(source.appHash());
  });
  if (failed === undefined) {
    expect(content(store, "alpha")).toEqual(content(source, "alpha"));
    expect(content(store, "zeta")).toEqual(content(source, "zeta"));
    expect(store.stage(4n, block({ alpha: { kept: "4" } }))).toEqual(source.stage(4n, block({ alpha: { kept: "4" } })));
  } else {
    expect(store.height()).toBe(0n);
    expect(content(store, "alpha")).toEqual([]);
  }
  return failed;
}

const live = (key: string, value: string): Buffer =>
  Buffer.concat([Buffer.of(6, key.length), utf8(key), Buffer.of(value.length), utf8(value)]);
const replaced = (from: Buffer, to: Buffer): Buffer => {
  const at = honest!.indexOf(from);
  expect(at).toBeGreaterThan(0);
  return Buffer.concat([honest!.subarray(0, at), to, honest!.subarray(at + from.length)]);
};
const DEAD_BYTES = 33;
/** Of block 1 (changed, gone, kept) the first two are not current. */
const deadAt = honest!.indexOf(Buffer.of(5, 1, 7)) + 2;

describe("a snapshot of journaled stores", () => {
  it("is taken where it is true", () => {
    expect(outcome(honest!)).toBeUndefined();
  });

  const kept = live("kept", "value 1");
  it.each([
    ["another value", replaced(kept, live("kept", "value 9"))],
    ["another key", replaced(kept, live("kepT", "value 1"))],
    ["an entry left out", replaced(kept, Buffer.alloc(0))],
    ["an entry twice", replaced(kept, Buffer.concat([kept, kept]))],
    ["a made-up entry", replaced(kept, Buffer.concat([kept, live("new", "value 1")]))],
    ["the value a block wrote that was overwritten since", withStale("changed")],
    ["an entry that was deleted since", withStale("gone")],
    ["a block left out", replaced(Buffer.concat([Buffer.of(5, 3), live("late", "value 3")]), Buffer.alloc(0))],
    ["a block of another height", replaced(Buffer.concat([Buffer.of(5, 3)]), Buffer.of(5, 2))],
    [
      "a block twice",
      replaced(
        live("late", "value 3"),
        Buffer.concat([live("late", "value 3"), Buffer.of(5, 3), live("late", "value 3")]),
      ),
    ],
    ["a store left out", honest!.subarray(0, honest!.indexOf(Buffer.concat([Buffer.of(4, 4), utf8("zeta")])))],
    [
      "a store under another's name",
      replaced(Buffer.concat([Buffer.of(4, 4), utf8("zeta")]), Buffer.concat([Buffer.of(4, 4), utf8("beta")])),
    ],
    ["a tree after the journals", Buffer.concat([honest!, Buffer.of(1, 4), utf8("zeta")])],
    ["an entry before any store", replaced(Buffer.concat([Buffer.of(4, 5), utf8("alpha")]), Buffer.of(5, 1))],
    ["an unknown record", Buffer.concat([honest!, Buffer.of(8)])],
    ["no journals at all", honest!.subarray(0, honest!.indexOf(Buffer.concat([Buffer.of(4, 5), utf8("alpha")])))],
  ])("is refused with %s", (_, chunk) => {
    expect(outcome(chunk)).toBe("snapshot_malformed");
  });

  it("is refused with any byte changed, or cut off anywhere", () => {
    const codes = ["snapshot_malformed", "snapshot_app_hash"];
    for (let at = 0; at < honest!.length; at++) {
      const changed = Buffer.from(honest!);
      changed[at]! ^= 1 << (at % 8);
      expect(codes, `byte ${at}`).toContain(outcome(changed));
      expect(codes, `cut at ${at}`).toContain(outcome(honest!.subarray(0, at)));
    }
  });
});

/** The leaf that is dead now with the value it once had: its hash is right. */
function withStale(key: "changed" | "gone"): Buffer {
  const at = deadAt + (key === "gone" ? DEAD_BYTES : 0);
  return Buffer.concat([honest!.subarray(0, at), live(key, "value 1"), honest!.subarray(at + DEAD_BYTES)]);
}

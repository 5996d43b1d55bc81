import { toHex, utf8 } from "@karat/common";
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { compareBytes } from "./bytes.ts";
import { MAX_KEY_BYTES } from "./limits.ts";
import type { Change, ChangeSet, CommitStore, Range } from "./types.ts";

export interface MakeOptions {
  names: readonly string[];
  journaled?: readonly string[];
  journalWindow?: number;
  pruneKeep?: number;
}

const names = ["alpha", "beta"];

/** What every CommitStore has to do. `make` gives a fresh store each time; it is closed after the test. */
export function commitStoreConformance(name: string, make: (options: MakeOptions) => CommitStore): void {
  conformance(`${name} is a CommitStore`, make);
  // So short a window that entries are written anew all the time.
  conformance(`${name} with a journal is a CommitStore`, (options) =>
    make({ ...options, journaled: options.names.slice(0, 1), journalWindow: 3 }),
  );
  conformance(`${name} with journals only is a CommitStore`, (options) =>
    make({ ...options, journaled: options.names }),
  );
}

function conformance(title: string, make: (options: MakeOptions) => CommitStore): void {
  describe(title, () => {
    const opened: CommitStore[] = [];
    const fresh = (options: MakeOptions = { names }): CommitStore => {
      const store = make(options);
      opened.push(store);
      return store;
    };
    afterEach(() => {
      for (const store of opened.splice(0)) store.close();
    });

    it("starts at height 0 with the app hash of empty stores", () => {
      const store = fresh();
      expect(store.height()).toBe(0n);
      // RFC 6962 over leaves len|name, 0x20|sha256(sha256("")), computed with Python.
      const byTrees: Record<string, string> = {
        "": "7c6e8df5a98605380425f15aafe888162118b84be13e6a3af2e891a388294c63",
        alpha: "ac6928aca49f0fa43de7e6784d7248f84380a49d02397406ec53cdb45a722c72",
        "alpha,beta": "8d4acd1a288fa4fdeb3fe9e6e09e969c05e0467db9922b4f9799ffaa6ca031d3",
      };
      expect(toHex(store.appHash())).toBe(byTrees[store.journaled.join()]);
      expect([...store.reader("alpha").iterate()]).toEqual([]);
    });

    it("shows nothing of a block before it is committed", () => {
      const store = fresh();
      const before = store.appHash();
      const staged = store.stage(1n, block({ alpha: { a: "1" } }));
      expect(store.height()).toBe(0n);
      expect(store.appHash()).toEqual(before);
      expect(store.reader("alpha").get(utf8("a"))).toBeUndefined();
      expect(store.commit()).toEqual({ height: 1n, appHash: staged });
      expect(store.appHash()).toEqual(staged);
      expect(store.reader("alpha").get(utf8("a"))).toEqual(utf8("1"));
      expect(store.reader("beta").has(utf8("a"))).toBe(false);
    });

    it("discards a staging when another one replaces it", () => {
      const store = fresh();
      store.stage(1n, block({ alpha: { lost: "1" } }));
      store.setMeta("lost", utf8("x"));
      const staged = store.stage(1n, block({ alpha: { kept: "2" } }));
      store.commit();
      expect(content(store, "alpha")).toEqual(["kept=2"]);
      expect(store.meta("lost")).toBeUndefined();
      const other = fresh();
      expect(other.stage(1n, block({ alpha: { kept: "2" } }))).toEqual(staged);
    });

    it("keeps the app hash when a block changes nothing", () => {
      const store = fresh();
      store.stage(1n, block({ alpha: { a: "1" } }));
      const { appHash } = store.commit();
      expect(store.stage(2n, new Map())).toEqual(appHash);
      store.commit();
      expect(store.height()).toBe(2n);
      // Deleting what is not there is no change, writing the same value is one (as in cosmos/iavl).
      expect(store.stage(3n, block({ alpha: { zz: undefined } }))).toEqual(appHash);
      expect(store.stage(3n, block({ alpha: { a: "1" } }))).not.toEqual(appHash);
    });

    it("may start at a later height, then goes on one by one", () => {
      const store = fresh();
      expect(code(() => store.stage(0n, new Map()))).toBe("invalid_height");
      store.stage(7n, new Map());
      store.commit();
      for (const height of [6n, 7n, 9n]) expect(code(() => store.stage(height, new Map()))).toBe("invalid_height");
      expect(code(() => store.commit())).toBe("nothing_staged");
    });

    it("commits engine-side entries with the block, outside the app hash", () => {
      const store = fresh();
      store.setMeta("early", utf8("1"));
      const staged = store.stage(1n, new Map());
      store.setMeta("late", utf8("2"));
      expect(store.meta("early")).toBeUndefined();
      store.commit();
      expect([store.meta("early"), store.meta("late")]).toEqual([utf8("1"), utf8("2")]);
      const other = fresh();
      expect(other.stage(1n, new Map())).toEqual(staged);
    });

    it("refuses stores and entries that cannot be", () => {
      const store = fresh();
      expect(code(() => store.reader("gamma"))).toBe("unknown_store");
      expect(code(() => store.prove("gamma", utf8("a")))).toBe("unknown_store");
      expect(code(() => store.stage(1n, new Map([["gamma", []]])))).toBe("unknown_store");
      const long = new Uint8Array(MAX_KEY_BYTES + 1);
      for (const key of [new Uint8Array(0), long]) {
        expect(code(() => store.stage(1n, new Map([["alpha", [[key, key]]]])))).toBe("invalid_key");
      }
      expect(code(() => fresh({ names: ["a", "a"] }))).toBe("invalid_names");
      expect(code(() => fresh({ names: ["A/b"] }))).toBe("invalid_names");
    });

    it("keeps its own copy of what it is given", () => {
      const store = fresh();
      const [key, value] = [utf8("key"), utf8("value")];
      store.stage(1n, new Map([["alpha", [[key, value]]]]));
      key.fill(0);
      value.fill(0);
      store.commit();
      expect(content(store, "alpha")).toEqual(["key=value"]);
    });

    it("holds empty values, long values and keys of any bytes", () => {
      const store = fresh();
      const entries: [Uint8Array, Uint8Array][] = [
        [Uint8Array.of(0), new Uint8Array(0)],
        [new Uint8Array(MAX_KEY_BYTES).fill(255), new Uint8Array(3_000_000).fill(7)],
        [Uint8Array.of(0, 255), new Uint8Array(40_000).fill(9)],
      ];
      entries.sort(([a], [b]) => compareBytes(a, b));
      store.stage(1n, new Map([["alpha", entries]]));
      store.commit();
      const reader = store.reader("alpha");
      for (const [key, value] of entries) expect(toHex(reader.get(key)!) === toHex(value)).toBe(true);
      const seen = [...reader.iterate()].map(([key, value]) => [toHex(key), value.length]);
      expect(seen).toEqual(entries.map(([key, value]) => [toHex(key), value.length]));
      expect(Object.getPrototypeOf(reader.get(entries[0]![0]))).toBe(Uint8Array.prototype);
    });

    it("proves kept heights only", () => {
      const store = fresh({ names, pruneKeep: 2 });
      for (let height = 1n; height <= 4n; height++) {
        store.stage(height, block({ alpha: { a: `${height}` } }));
        store.commit();
      }
      expect(store.prove("alpha", utf8("a"))).toMatchObject({ height: 4n, value: utf8("4") });
      expect(store.prove("alpha", utf8("a"), 3n)).toMatchObject({ height: 3n, value: utf8("3") });
      for (const height of [-1n, 0n, 2n, 5n]) {
        expect(
          code(() => store.prove("alpha", utf8("a"), height)),
          `${height}`,
        ).toBe("height_unavailable");
      }
    });

    it("agrees with a sorted map, whatever the blocks are", () => {
      fc.assert(
        fc.property(fc.array(changesArbitrary, { maxLength: 12 }), rangeArbitrary, (blocks, range) => {
          const store = make({ names, pruneKeep: 2 });
          try {
            const model = new Map<string, readonly [Uint8Array, Uint8Array]>();
            blocks.forEach((changes, index) => {
              store.stage(BigInt(index + 1), new Map([["alpha", changes]]));
              store.commit();
              for (const [key, value] of changes) {
                if (value === undefined) model.delete(toHex(key));
                else model.set(toHex(key), [key, value]);
              }
            });
            expect([...store.reader("alpha").iterate(range)]).toEqual(select([...model.values()], range));
            for (const [key, value] of model.values()) expect(store.prove("alpha", key).value).toEqual(value);
          } finally {
            store.close();
          }
        }),
        { numRuns: 40 },
      );
    });
  });
}

/** Few short keys, so that blocks hit the same entries. */
export const keyArbitrary = fc.uint8Array({ minLength: 1, maxLength: 2 }).map((key) => key.map((byte) => byte & 0x83));

/** The writes of a block: sorted, each key once. */
export const changesArbitrary = fc
  .array(fc.tuple(keyArbitrary, fc.option(fc.uint8Array({ maxLength: 3 }), { nil: undefined })), { maxLength: 30 })
  .map((changes) => [...new Map(changes.map((change) => [toHex(change[0]), change as Change])).values()])
  .map((changes) => changes.sort(([a], [b]) => compareBytes(a, b)));

export const rangeArbitrary: fc.Arbitrary<Range> = fc.record(
  { start: keyArbitrary, end: keyArbitrary, reverse: fc.boolean() },
  { requiredKeys: [] },
);

/** What `iterate` must give for these entries. */
export function select(
  entries: readonly (readonly [Uint8Array, Uint8Array])[],
  { start, end, reverse }: Range,
): (readonly [Uint8Array, Uint8Array])[] {
  const selected = entries
    .filter(([key]) => start === undefined || compareBytes(key, start) >= 0)
    .filter(([key]) => end === undefined || compareBytes(key, end) < 0)
    .sort(([a], [b]) => compareBytes(a, b));
  return reverse === true ? selected.reverse() : selected;
}

/** A ChangeSet from text. */
export function block(stores: Record<string, Record<string, string | undefined>>): ChangeSet {
  const changes = Object.entries(stores).map(([name, entries]) => {
    const writes = Object.entries(entries).map(
      ([key, value]): Change => [utf8(key), value === undefined ? undefined : utf8(value)],
    );
    return [name, writes.sort(([a], [b]) => compareBytes(a, b))] as const;
  });
  return new Map(changes);
}

/** The entries of a store as `key=value`. */
export function content(store: CommitStore, name: string): string[] {
  const text = new TextDecoder();
  return Array.from(store.reader(name).iterate(), ([key, value]) => `${text.decode(key)}=${text.decode(value)}`);
}

/** The code of the KaratError that is thrown; undefined where none is. */
export function code(action: () => unknown): string | undefined {
  try {
    action();
  } catch (error) {
    return (error as { code?: string }).code;
  }
  return undefined;
}

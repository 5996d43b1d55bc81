import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BUCKETS, bytes, member, pair, Table, text, u64 } from "./collections.ts";
import { Committed } from "./committed.ts";
import { code } from "./conformance.ts";
import { MemoryCommitStore } from "./memory.ts";
import { Overlay } from "./overlay.ts";
import type { ValueWriter } from "./types.ts";
import { type Codec, Value } from "./value.ts";

const opened = () => new MemoryCommitStore({ names: ["main"], journaled: ["main"] });

function block(committed: Committed, height: bigint, write: (store: ValueWriter) => void): Uint8Array {
  const overlay = new Overlay(committed.reader("main"));
  write(overlay);
  const appHash = committed.stage(height, new Map([["main", overlay]]));
  committed.commit();
  return appHash;
}

describe("a set in buckets", () => {
  const bucketed = new Table(BUCKETS + 1, pair(u64, u64), member);
  const key = fc.tuple(fc.bigInt(0n, 3n), fc.bigInt(0n, 9n));
  const blocks = fc.array(fc.array(fc.tuple(key, fc.boolean()), { maxLength: 20 }), { maxLength: 6 });

  it.each<[string, Codec<bigint>]>([
    ["", { encode: () => new Uint8Array(), decode: () => 0n }],
    [" with its value", u64],
  ])("reads as one entry for each member%s, from the cache and from the store", (_, codec) => {
    const plain = new Table(1, pair(u64, u64), codec);
    const bucketed = new Table(BUCKETS + 1, pair(u64, u64), codec);
    fc.assert(
      fc.property(blocks, key, fc.boolean(), (writes, from, reverse) => {
        const store = opened();
        const committed = new Committed(store, true);
        writes.forEach((changes, i) => {
          block(committed, BigInt(i + 1), (writer) => {
            for (const [key, there] of changes) {
              for (const table of [plain, bucketed]) {
                if (there) table.set(writer, key, codec === u64 ? BigInt(i) : 0n);
                else table.delete(writer, key);
              }
            }
          });
        });
        for (const reader of [committed.reader("main"), new Committed(store).reader("main")]) {
          for (const range of [
            { reverse },
            { from: from as [bigint, bigint], reverse },
            { prefix: u64.toKey(from[0]) },
            { before: from as [bigint, bigint] },
          ]) {
            expect([...bucketed.entries(reader, range)]).toEqual([...plain.entries(reader, range)]);
          }
          expect(bucketed.get(reader, from)).toBe(plain.get(reader, from));
        }
      }),
    );
  });

  it("has members and values of one length each", () => {
    const lengths = new Table(BUCKETS + 1, pair(u64, bytes), bytes);
    const put = (...entries: [Uint8Array, Uint8Array][]) =>
      code(() =>
        block(new Committed(opened()), 1n, (writer) => {
          for (const [name, value] of entries) lengths.set(writer, [1n, name], value);
        }),
      );
    const [short, long] = [Uint8Array.of(1), Uint8Array.of(2, 2)];
    expect(put([short, short], [Uint8Array.of(3), short])).toBeUndefined();
    expect(put([short, short], [long, short])).toBe("invalid_key");
    expect(put([short, short], [Uint8Array.of(3), long])).toBe("invalid_key");
    expect(put([short, new Uint8Array(256)])).toBe("invalid_key");
  });

  it("is one entry of the store for each height", () => {
    const store = opened();
    const committed = new Committed(store);
    block(committed, 1n, (writer) => {
      for (let i = 0n; i < 100n; i++) bucketed.set(writer, [i % 2n, i], true);
    });
    expect([...store.reader("main").iterate()]).toHaveLength(2);
    block(committed, 2n, (writer) => {
      for (let i = 0n; i < 100n; i += 2n) bucketed.delete(writer, [0n, i]);
    });
    expect([...store.reader("main").iterate()]).toHaveLength(1);
  });
});

describe("a value", () => {
  it("is encoded once for the block that writes it and not decoded for those after", () => {
    const counts = { encoded: 0, decoded: 0 };
    const counting: Codec<string> = {
      encode(value) {
        counts.encoded++;
        return text.encode(value);
      },
      decode(bytes) {
        counts.decoded++;
        return text.decode(bytes);
      },
    };
    const table = new Table(1, u64, counting);
    const store = opened();
    const committed = new Committed(store);
    block(committed, 1n, (writer) => {
      for (let i = 0; i < 10; i++) {
        const transaction = new Overlay(writer);
        table.set(transaction, 1n, `${table.get(transaction, 1n) ?? ""}x`);
        transaction.flushTo(writer);
      }
    });
    expect(table.get(committed.reader("main"), 1n)).toBe("x".repeat(10));
    expect(counts).toEqual({ encoded: 1, decoded: 0 });
    const after = new Committed(store).reader("main");
    expect([table.get(after, 1n), table.get(after, 1n)]).toEqual(["x".repeat(10), "x".repeat(10)]);
    expect(counts).toEqual({ encoded: 1, decoded: 1 });
  });

  it("of a block that was not committed is not there", () => {
    const store = opened();
    const committed = new Committed(store);
    const table = new Table(1, u64, text);
    block(committed, 1n, (writer) => table.set(writer, 1n, "kept"));
    const dropped = new Overlay(committed.reader("main"));
    table.set(dropped, 1n, "dropped");
    committed.stage(2n, new Map([["main", dropped]]));
    expect(table.get(committed.reader("main"), 1n)).toBe("kept");
    block(committed, 2n, (writer) => table.delete(writer, 1n));
    expect(table.get(committed.reader("main"), 1n)).toBeUndefined();
  });

  it("that its encoding does not stand for is found by the strict", () => {
    const lossy: Codec<{ readonly n: number; readonly m?: number }> = {
      encode: ({ n }) => Uint8Array.of(n),
      decode: (bytes) => ({ n: bytes[0]! }),
    };
    const committed = new Committed(opened(), true);
    const write = (value: Value) => block(committed, 1n, (writer) => writer.put("k", value));
    expect(code(() => write(Value.of(lossy, { n: 1, m: 2 })))).toBe("value_differs");
    const changed = { n: 1 };
    const value = Value.of(lossy, changed);
    expect(value.bytes).toEqual(Uint8Array.of(1));
    changed.n = 2;
    expect(code(() => write(value))).toBe("value_differs");
    const kept = { n: 3 };
    write(Value.of(lossy, kept));
    expect(() => {
      kept.n = 4;
    }).toThrow(TypeError);
  });
});

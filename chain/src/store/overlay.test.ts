import { utf8 } from "@karat/common";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { toBinary } from "./bytes.ts";
import { block, changesArbitrary, code, keyArbitrary, rangeArbitrary, select } from "./conformance.ts";
import { MAX_KEY_BYTES } from "./limits.ts";
import { MemoryCommitStore } from "./memory.ts";
import { Overlay } from "./overlay.ts";
import { StoredValues } from "./storedValues.ts";
import type { Change, ValueReader } from "./types.ts";
import { Value } from "./value.ts";

const base = (entries: Record<string, string>): ValueReader => {
  const store = new MemoryCommitStore({ names: ["main"] });
  store.stage(1n, block({ main: entries }));
  store.commit();
  return new StoredValues(store.reader("main"));
};
const value = (text: string): Value => Value.encoded(utf8(text));
const textOf = (of: Value | undefined): string | undefined => of && new TextDecoder().decode(of.bytes);
const shown = (reader: ValueReader, range = {}): string =>
  Array.from(reader.values(range), ([key, of]) => key + textOf(of)).join(" ");

describe("Overlay", () => {
  it("hides what it overwrites or deletes and leaves the parent alone", () => {
    const parent = base({ a: "1", b: "2", c: "3" });
    const overlay = new Overlay(parent);
    overlay.put("b", value("9"));
    overlay.put("c", undefined);
    overlay.put("d", value("4"));
    expect(shown(overlay)).toBe("a1 b9 d4");
    expect(shown(overlay, { reverse: true, start: "b" })).toBe("d4 b9");
    expect(["a", "c", "d", "e"].map((key) => textOf(overlay.value(key)))).toEqual(["1", undefined, "4", undefined]);
    expect(shown(parent)).toBe("a1 b2 c3");
  });

  it("nests: a dropped inner overlay leaves no trace, a flushed one does", () => {
    const outer = new Overlay(base({ a: "1" }));
    new Overlay(outer).put("b", value("2"));
    const kept = new Overlay(outer);
    kept.put("c", value("3"));
    kept.put("a", undefined);
    expect(shown(outer)).toBe("a1");
    kept.flushTo(outer);
    expect(shown(outer)).toBe("c3");
    expect(outer.changes().map(([key, of]) => [key, of && textOf(of)])).toEqual([
      ["a", null],
      ["c", "3"],
    ]);
    expect(outer.size).toBe(2);
  });

  it("lets the consumer write while it iterates: ahead of the cursor is seen, behind it is not", () => {
    const overlay = new Overlay(base({ b: "", d: "", f: "" }));
    const seen: string[] = [];
    for (const [key] of overlay.values()) {
      seen.push(key);
      overlay.put(key, undefined);
      if (key === "b") {
        overlay.put("a", value("new"));
        overlay.put("c", value("new"));
        overlay.put("d", undefined);
      }
    }
    expect(seen).toEqual(["b", "c", "f"]);
    expect(shown(overlay)).toBe("anew");
  });

  it("ends the iteration underneath when the consumer breaks off", () => {
    let ended = false;
    const parent: ValueReader = {
      value: () => undefined,
      *values() {
        try {
          yield ["a", value("1")] as const;
          yield ["b", value("2")] as const;
        } finally {
          ended = true;
        }
      },
    };
    for (const _ of new Overlay(new Overlay(parent)).values()) break;
    expect(ended).toBe(true);
  });

  it("refuses keys out of limits", () => {
    const overlay = new Overlay(base({}));
    expect(code(() => overlay.put("", value("")))).toBe("invalid_key");
    expect(code(() => overlay.put("k".repeat(MAX_KEY_BYTES + 1), value("")))).toBe("invalid_key");
    expect(code(() => overlay.put("", undefined))).toBe("invalid_key");
  });

  it("orders many keys by bytes, in whatever order they come", () => {
    const overlay = new Overlay(base({}));
    for (let i = 0; i < 5000; i++) {
      overlay.put(String.fromCharCode((i * 48271) % 251, (i * 40692) % 253, i % 256), value(`${i}`));
    }
    const keys = overlay.changes().map(([key]) => key);
    expect(keys).toEqual([...keys].sort());
    expect(Array.from(overlay.values(), ([key]) => key)).toEqual(keys);
    expect(Array.from(overlay.values({ reverse: true }), ([key]) => key)).toEqual(keys.toReversed());
  });

  it("agrees with a sorted map over any parent, layer by layer", () => {
    fc.assert(
      fc.property(fc.array(unsorted, { maxLength: 3 }), changesArbitrary, rangeArbitrary, (layers, below, range) => {
        const store = new MemoryCommitStore({ names: ["main"] });
        store.stage(1n, new Map([["main", below]]));
        store.commit();
        const model = new Map<string, readonly [Uint8Array, Uint8Array]>();
        let reader: ValueReader = new StoredValues(store.reader("main"));
        apply(model, below);
        for (const layer of layers) {
          const overlay = new Overlay(reader);
          for (const [key, bytes] of layer) overlay.put(toBinary(key), bytes && Value.encoded(bytes));
          apply(model, layer);
          reader = overlay;
        }
        const keys = {
          ...(range.start && { start: toBinary(range.start) }),
          ...(range.end && { end: toBinary(range.end) }),
          reverse: range.reverse ?? false,
        };
        expect(Array.from(reader.values(keys), ([key, { bytes }]) => [key, bytes])).toEqual(
          select([...model.values()], range).map(([key, bytes]) => [toBinary(key), bytes]),
        );
      }),
    );
  });
});

const unsorted = fc.array(fc.tuple(keyArbitrary, fc.option(fc.uint8Array({ maxLength: 2 }), { nil: undefined })), {
  maxLength: 40,
});

function apply(model: Map<string, readonly [Uint8Array, Uint8Array]>, changes: readonly Change[]): void {
  for (const [key, bytes] of changes) {
    if (bytes === undefined) model.delete(toBinary(key));
    else model.set(toBinary(key), [key, bytes]);
  }
}

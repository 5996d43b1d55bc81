import { toHex, utf8 } from "@karat/common";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { block, changesArbitrary, code, keyArbitrary, rangeArbitrary, select } from "./conformance.ts";
import { MAX_KEY_BYTES, MAX_VALUE_BYTES } from "./limits.ts";
import { MemoryCommitStore } from "./memory.ts";
import { Overlay } from "./overlay.ts";
import type { Change, Reader } from "./types.ts";

const base = (entries: Record<string, string>): Reader => {
  const store = new MemoryCommitStore({ names: ["main"] });
  store.stage(1n, block({ main: entries }));
  store.commit();
  return store.reader("main");
};
const text = new TextDecoder();
const shown = (reader: Reader, range = {}): string =>
  Array.from(reader.iterate(range), ([key, value]) => text.decode(key) + text.decode(value)).join(" ");

describe("Overlay", () => {
  it("hides what it overwrites or deletes and leaves the parent alone", () => {
    const parent = base({ a: "1", b: "2", c: "3" });
    const overlay = new Overlay(parent);
    overlay.set(utf8("b"), utf8("9"));
    overlay.delete(utf8("c"));
    overlay.set(utf8("d"), utf8("4"));
    expect(shown(overlay)).toBe("a1 b9 d4");
    expect(shown(overlay, { reverse: true, start: utf8("b") })).toBe("d4 b9");
    expect(overlay.get(utf8("c"))).toBeUndefined();
    expect([overlay.has(utf8("c")), overlay.has(utf8("d")), overlay.has(utf8("a"))]).toEqual([false, true, true]);
    expect(shown(parent)).toBe("a1 b2 c3");
  });

  it("nests: a dropped inner overlay leaves no trace, a flushed one does", () => {
    const outer = new Overlay(base({ a: "1" }));
    new Overlay(outer).set(utf8("b"), utf8("2"));
    const kept = new Overlay(outer);
    kept.set(utf8("c"), utf8("3"));
    kept.delete(utf8("a"));
    expect(shown(outer)).toBe("a1");
    kept.flushTo(outer);
    expect(shown(outer)).toBe("c3");
    expect(outer.changes()).toEqual([
      [utf8("a"), undefined],
      [utf8("c"), utf8("3")],
    ]);
    expect(outer.size).toBe(2);
  });

  it("lets the consumer write while it iterates: ahead of the cursor is seen, behind it is not", () => {
    const overlay = new Overlay(base({ b: "", d: "", f: "" }));
    const seen: string[] = [];
    for (const [key] of overlay.iterate()) {
      const name = text.decode(key);
      seen.push(name);
      overlay.delete(key);
      if (name === "b") {
        overlay.set(utf8("a"), utf8("new"));
        overlay.set(utf8("c"), utf8("new"));
        overlay.delete(utf8("d"));
      }
    }
    expect(seen).toEqual(["b", "c", "f"]);
    expect(shown(overlay)).toBe("anew");
  });

  it("ends the iteration underneath when the consumer breaks off", () => {
    let ended = false;
    const parent: Reader = {
      get: () => undefined,
      has: () => false,
      *iterate() {
        try {
          yield [utf8("a"), utf8("1")] as const;
          yield [utf8("b"), utf8("2")] as const;
        } finally {
          ended = true;
        }
      },
    };
    for (const _ of new Overlay(new Overlay(parent)).iterate()) break;
    expect(ended).toBe(true);
  });

  it("refuses keys and values out of limits", () => {
    const overlay = new Overlay(base({}));
    expect(code(() => overlay.set(new Uint8Array(0), utf8("")))).toBe("invalid_key");
    expect(code(() => overlay.set(new Uint8Array(MAX_KEY_BYTES + 1), utf8("")))).toBe("invalid_key");
    expect(code(() => overlay.delete(new Uint8Array(0)))).toBe("invalid_key");
    expect(code(() => overlay.set(utf8("a"), new Uint8Array(MAX_VALUE_BYTES + 1)))).toBe("invalid_value");
  });

  it("orders many keys by bytes, in whatever order they come", () => {
    const overlay = new Overlay(base({}));
    for (let i = 0; i < 5000; i++) {
      const key = new Uint8Array([(i * 48271) % 251, (i * 40692) % 253, i % 256]);
      overlay.set(key, utf8(`${i}`));
    }
    const keys = overlay.changes().map(([key]) => toHex(key));
    expect(keys).toEqual([...keys].sort());
    expect(Array.from(overlay.iterate(), ([key]) => toHex(key))).toEqual(keys);
    expect(Array.from(overlay.iterate({ reverse: true }), ([key]) => toHex(key))).toEqual(keys.toReversed());
  });

  it("agrees with a sorted map over any parent, layer by layer", () => {
    fc.assert(
      fc.property(fc.array(unsorted, { maxLength: 3 }), changesArbitrary, rangeArbitrary, (layers, below, range) => {
        const store = new MemoryCommitStore({ names: ["main"] });
        store.stage(1n, new Map([["main", below]]));
        store.commit();
        const model = new Map<string, readonly [Uint8Array, Uint8Array]>();
        let reader = store.reader("main");
        apply(model, below);
        for (const layer of layers) {
          const overlay = new Overlay(reader);
          for (const [key, value] of layer) {
            if (value === undefined) overlay.delete(key);
            else overlay.set(key, value);
          }
          apply(model, layer);
          reader = overlay;
        }
        expect([...reader.iterate(range)]).toEqual(select([...model.values()], range));
      }),
    );
  });
});

const unsorted = fc.array(fc.tuple(keyArbitrary, fc.option(fc.uint8Array({ maxLength: 2 }), { nil: undefined })), {
  maxLength: 40,
});

function apply(model: Map<string, readonly [Uint8Array, Uint8Array]>, changes: readonly Change[]): void {
  for (const [key, value] of changes) {
    if (value === undefined) model.delete(toHex(key));
    else model.set(toHex(key), [key, value]);
  }
}

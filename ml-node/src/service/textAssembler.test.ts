import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Vocabulary } from "../engine/engine.ts";
import { TextAssembler, textOf } from "./textAssembler.ts";

/** One token a byte; 256 is a stop token. */
const BYTES: Vocabulary = {
  size: 257,
  longest: 1,
  stopTokenIds: [256],
  bytesOf: (id) => (id < 256 ? Uint8Array.of(id) : new Uint8Array()),
  nameOf: (id) => (id < 256 ? String.fromCharCode(id) : "<stop>"),
};

const feed = (text: string, stop: string[] = []): { pieces: string[]; assembler: TextAssembler } => {
  const assembler = new TextAssembler(stop);
  const pieces = [...Buffer.from(text)].map((byte) => assembler.push(Uint8Array.of(byte)));
  return { pieces: [...pieces, assembler.finish()], assembler };
};

describe("TextAssembler", () => {
  it("holds back incomplete characters", () => {
    expect(feed("a€b").pieces).toEqual(["a", "", "", "€", "b", ""]);
  });

  it("writes U+FFFD for bytes that never become a character", () => {
    const assembler = new TextAssembler();
    expect(assembler.push(Uint8Array.of(0xe2, 0x82))).toBe("");
    expect(assembler.finish()).toBe("\ufffd");
    expect(assembler.text).toBe("\ufffd");
  });

  it("cuts before the earliest stop sequence and ignores the rest", () => {
    const { pieces, assembler } = feed("one STOP two END", ["END", "STOP"]);
    expect(pieces.join("")).toBe("one ");
    expect(assembler.text).toBe("one ");
    expect(assembler.stopped).toBe(true);
  });

  it("gives back what only looked like a stop sequence", () => {
    expect(feed("ababac", ["abac"]).pieces).toEqual(["", "", "", "ab", "", "", ""]);
    expect(feed("aab", ["aac"]).pieces).toEqual(["", "", "aab", ""]);
    expect(feed("xST", ["STOP"]).pieces).toEqual(["x", "", "", "ST"]);
  });

  it("joins to the text before the first stop sequence, however the bytes arrive", () => {
    const alphabet = fc.constantFrom("a", "b", "€", "\ufeff", "😀");
    const word = fc.array(alphabet, { maxLength: 20 }).map((letters) => letters.join(""));
    const stops = fc.array(
      fc.array(alphabet, { minLength: 1, maxLength: 3 }).map((letters) => letters.join("")),
      { maxLength: 3 },
    );
    fc.assert(
      fc.property(word, stops, (text, stop) => {
        const { pieces, assembler } = feed(text, stop);
        expect(pieces.join("")).toBe(assembler.text);
        // A reader of whole characters finds the same cut, at the stop sequence that is complete first.
        const ends = stop.flatMap((s) =>
          text.includes(s) ? [{ at: text.indexOf(s), end: text.indexOf(s) + s.length }] : [],
        );
        const first = Math.min(...ends.map(({ end }) => end));
        const cut = Math.min(...ends.filter(({ end }) => end === first).map(({ at }) => at));
        expect(assembler.text).toBe(ends.length > 0 ? text.slice(0, cut) : text);
        const ids = [...Buffer.from(text)];
        expect(textOf(BYTES, ids, stop).text).toBe(assembler.text);
      }),
    );
  });
});

describe("textOf", () => {
  it("leaves the final stop token out and tells where a stop sequence ended", () => {
    expect(textOf(BYTES, [104, 105, 256])).toEqual({ text: "hi" });
    expect(textOf(BYTES, [104, 105, 33, 33], ["i!"])).toEqual({ text: "h", stoppedAt: 2 });
  });
});

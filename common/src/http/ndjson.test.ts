import fc from "fast-check";
import { expect, test } from "vitest";
import { isKaratError, utf8 } from "../index.ts";
import { NdjsonParser } from "./index.ts";

function collect(chunks: readonly Uint8Array[], maxLineBytes = 1_000): unknown[] {
  const parser = new NdjsonParser(maxLineBytes);
  const values: unknown[] = [];
  for (const chunk of chunks) parser.push(chunk, values);
  parser.end();
  return values;
}

const codeOf = (run: () => unknown): unknown => {
  try {
    return run();
  } catch (error) {
    return isKaratError(error) ? error.code : error;
  }
};

test("values come whole, however the bytes are cut", () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ text: fc.string({ unit: "grapheme" }), n: fc.integer() }), { maxLength: 8 }),
      fc.integer({ min: 1, max: 9 }),
      (values, size) => {
        const bytes = utf8(values.map((value) => `${JSON.stringify(value)}\n`).join(""));
        const chunks: Uint8Array[] = [];
        for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.subarray(at, at + size));
        expect(collect(chunks, 100_000)).toEqual(values);
      },
    ),
  );
});

test.each([
  ["a line without an end", '{"a":1}\n{"b"'],
  ["a line that is not JSON", "nonsense\n"],
  ["a line that is too long", `"${"x".repeat(1_000)}"\n`],
  ["a line that is too long and never ends", "x".repeat(1_001)],
])("%s is a malformed stream", (_name, text) => {
  expect(codeOf(() => collect([utf8(text)]))).toBe("malformed_stream");
});

test("values before a malformed line are given", () => {
  const values: unknown[] = [];
  expect(codeOf(() => new NdjsonParser(100).push(utf8('{"a":1}\nnonsense\n'), values))).toBe("malformed_stream");
  expect(values).toEqual([{ a: 1 }]);
});

import fc from "fast-check";
import { expect, test } from "vitest";
import { isKaratError, utf8 } from "../index.ts";
import { readNdjson } from "./index.ts";

async function collect(chunks: readonly Uint8Array[], maxLineBytes = 1_000): Promise<unknown[]> {
  async function* source() {
    yield* chunks;
  }
  const values: unknown[] = [];
  for await (const value of readNdjson(source(), maxLineBytes)) values.push(value);
  return values;
}

const codeOf = (error: unknown): unknown => (isKaratError(error) ? error.code : error);

test("values come whole, however the bytes are cut", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ text: fc.string({ unit: "grapheme" }), n: fc.integer() }), { maxLength: 8 }),
      fc.integer({ min: 1, max: 9 }),
      async (values, size) => {
        const bytes = utf8(values.map((value) => `${JSON.stringify(value)}\n`).join(""));
        const chunks: Uint8Array[] = [];
        for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.subarray(at, at + size));
        expect(await collect(chunks, 100_000)).toEqual(values);
      },
    ),
  );
});

test.each([
  ["a line without an end", '{"a":1}\n{"b"'],
  ["a line that is not JSON", "nonsense\n"],
  ["a line that is too long", `"${"x".repeat(1_000)}"\n`],
  ["a line that is too long and never ends", "x".repeat(1_001)],
])("%s is a malformed stream", async (_name, text) => {
  expect(await collect([utf8(text)]).catch(codeOf)).toBe("malformed_stream");
});

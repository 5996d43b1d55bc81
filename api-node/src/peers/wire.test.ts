import { isKaratError } from "@karat/common";
import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeExecuteLine, encodeExecuteLine } from "./wire.ts";

const alternative = {
  id: fc.nat(),
  token: fc.string(),
  bytes: fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 8 }),
  logprob: fc.double({ noNaN: true, noDefaultInfinity: true, max: 0 }).map((value) => value || 0),
};
const tokenLine = fc.record({
  type: fc.constant("token" as const),
  ...alternative,
  text: fc.string(),
  top: fc.array(fc.record(alternative), { maxLength: 3 }),
});

test("token lines, with alternatives and without, arrive as they were sent", () => {
  fc.assert(
    fc.property(tokenLine, (line) => {
      expect(decodeExecuteLine(JSON.parse(encodeExecuteLine(line)))).toEqual(line);
    }),
  );
});

const plain = { type: "token", id: 1, token: "a", bytes: [97], logprob: -1, text: "a", top: [] };
test.each<[string, unknown]>([
  ["an id that is no integer", { ...plain, id: 1.5 }],
  ["bytes that are none", { ...plain, bytes: ["a"] }],
  ["a text that is none", { ...plain, text: null }],
  ["alternatives that are none", { ...plain, top: [1] }],
  ["a type that nobody knows", { ...plain, type: "tokens" }],
  ["nothing", null],
])("a line with %s is refused", (_name, line) => {
  try {
    decodeExecuteLine(line);
    expect.unreachable();
  } catch (error) {
    expect(isKaratError(error, "invalid_request")).toBe(true);
  }
});

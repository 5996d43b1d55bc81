import { isKaratError } from "@karat/common";
import fc from "fast-check";
import { expect, test } from "vitest";
import { formatTime, nanosOf, parseTime, timestampOf } from "./time.ts";

test("times keep their nanoseconds both ways", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 253402300799_999999999n }), (nanos) => {
      expect(nanosOf(parseTime(formatTime(timestampOf(nanos))))).toBe(nanos);
    }),
  );
});

test("a time prints as CometBFT prints it", () => {
  expect(formatTime(parseTime("2026-11-21T00:24:51.93279741Z"))).toBe("2026-11-21T00:24:51.93279741Z");
  expect(formatTime(parseTime("2026-11-21T00:24:51Z"))).toBe("2026-11-21T00:24:51Z");
  expect(formatTime(parseTime("2026-11-21T02:24:51.5+02:00"))).toBe("2026-11-21T00:24:51.5Z");
  expect(formatTime({ seconds: -62_135_596_800n, nanos: 0 })).toBe("0001-01-01T00:00:00Z");
});

test.each(["", "2026-11-21", "2026-11-21 00:00:00Z", "2026-13-21T00:00:00Z"])("%j is refused", (text) => {
  expect(() => parseTime(text)).toThrow(expect.objectContaining({ code: "engine/bad-time" }));
  expect(isKaratError(new Error())).toBe(false);
});

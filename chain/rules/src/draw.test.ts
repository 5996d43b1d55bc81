import fc from "fast-check";
import { expect, test } from "vitest";
import { drawnBelow } from "./draw.ts";

test("what is drawn from a digest is its first 64 bits, scaled exactly, at the ends of what is allowed, too", () => {
  const digest = fc.oneof(
    fc.uint8Array({ minLength: 8, maxLength: 32 }),
    fc.constantFrom(new Uint8Array(8), new Uint8Array(32).fill(0xff)),
  );
  fc.assert(
    fc.property(digest, fc.oneof(fc.nat(2 ** 21), fc.constantFrom(1, 1_000_000, 2 ** 21)), (bytes, n) => {
      const u = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0);
      expect(drawnBelow(n, bytes)).toBe(Number((u * BigInt(n)) >> 64n));
    }),
  );
});

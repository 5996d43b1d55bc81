import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ByteReader, ByteWriter, decodeNode, decodeVersion, encodeNode, encodeVersion } from "./codec.ts";
import { code } from "./conformance.ts";
import { Node, Ref } from "./iavl/node.ts";

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const refArbitrary = fc
  .tuple(fc.maxSafeNat(), bytes(32), fc.nat(255), fc.maxSafeNat())
  .map(([id, hash, height, size]) => new Ref(id, hash, height, size));
const leafArbitrary = fc
  .tuple(fc.uint8Array({ minLength: 1 }), fc.uint8Array(), fc.maxSafeNat())
  .map(([key, value, version]) => new Node(key, value, version));
const innerArbitrary = fc
  .tuple(fc.uint8Array({ minLength: 1 }), fc.maxSafeNat(), refArbitrary, refArbitrary)
  .map(([key, version, left, right]) => new Node(key, undefined, version, left, right));

describe("records", () => {
  it("give back the node that was written", () => {
    const out = new ByteWriter(1);
    fc.assert(
      fc.property(fc.oneof(leafArbitrary, innerArbitrary), (node) => {
        expect(decodeNode(new Uint8Array(encodeNode(out, node)))).toEqual(node);
      }),
    );
  });

  it("give back the roots of a version, also of stores without entries", () => {
    fc.assert(
      fc.property(bytes(32), fc.option(refArbitrary, { nil: undefined }), (appHash, root) => {
        const version = {
          height: 5,
          appHash,
          roots: new Map([
            ["first", root],
            ["second", undefined],
          ]),
        };
        expect(decodeVersion(5, new Uint8Array(encodeVersion(new ByteWriter(), version)))).toEqual(version);
      }),
    );
  });

  it("are refused when they are cut off", () => {
    const out = new ByteWriter();
    const ref = new Ref(300, new Uint8Array(32).fill(1), 3, 8);
    const record = new Uint8Array(encodeNode(out, new Node(Uint8Array.of(1, 2), undefined, 9, ref, ref)));
    for (let length = 0; length < record.length; length++) {
      expect(
        code(() => decodeNode(record.subarray(0, length))),
        `${length}`,
      ).toBe("corrupt_store");
    }
  });

  it("write varints as Go does, up to 2^53 - 1", () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (value) => {
        const expected: number[] = [];
        let rest = BigInt(value);
        for (; rest >= 0x80n; rest >>= 7n) expected.push(Number(rest & 0x7fn) | 0x80);
        const written = new Uint8Array(new ByteWriter().uvarint(value).view());
        expect([...written]).toEqual([...expected, Number(rest)]);
        expect(new ByteReader(written).uvarint()).toBe(value);
      }),
    );
    const tooLong = Uint8Array.of(255, 255, 255, 255, 255, 255, 255, 127);
    expect(code(() => new ByteReader(tooLong).uvarint())).toBe("corrupt_store");
  });
});

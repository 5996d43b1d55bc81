import { hash } from "node:crypto";
import { toHex, utf8 } from "@karat/common";
import { describe, expect, it } from "vitest";
import { HASH_BYTES, simpleLeaf, simplePath, simpleRoot } from "./simpleTree.ts";

const sha = (...parts: readonly Uint8Array[]): Buffer => hash("sha256", Buffer.concat(parts), "buffer");

/** RFC 6962 as it is written: split at the largest power of two below n. */
function reference(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 0) return sha();
  if (leaves.length === 1) return leaves[0]!;
  let split = 1;
  while (split * 2 < leaves.length) split *= 2;
  return sha(Uint8Array.of(1), reference(leaves.slice(0, split)), reference(leaves.slice(split)));
}

describe("the simple tree", () => {
  it("is that of RFC 6962 for any number of leaves, and every path leads to its root", () => {
    for (let count = 0; count <= 70; count++) {
      const leaves = Array.from({ length: count }, (_, i) => simpleLeaf(utf8(`k${i}`), utf8(`v${i}`)));
      const joined = Buffer.concat(leaves, count * HASH_BYTES);
      const root = simpleRoot(joined);
      expect(toHex(root)).toBe(toHex(reference(leaves)));
      leaves.forEach((leaf, index) => {
        const end = simplePath(joined, index).reduce<Uint8Array>(
          (h, { prefix, suffix }) => sha(prefix, h, suffix),
          leaf,
        );
        expect(toHex(end), `${index} of ${count}`).toBe(toHex(root));
      });
    }
  });

  it("hashes a leaf as CometBFT does, also one with a long key", () => {
    for (const key of [utf8("a"), new Uint8Array(1000).fill(7), new Uint8Array(5000).fill(9)]) {
      const length = key.length < 128 ? [key.length] : [(key.length % 128) | 128, Math.floor(key.length / 128)];
      const expected = sha(Uint8Array.of(0, ...length), key, Uint8Array.of(32), sha(utf8("value")));
      expect(toHex(simpleLeaf(key, utf8("value")))).toBe(toHex(expected));
    }
  });
});

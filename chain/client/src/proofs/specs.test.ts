import { describe, expect, it } from "vitest";
import { iavlSpec, simpleSpec } from "./specs.ts";

const hash = Array.from({ length: 32 }, (_, i) => i);
const step = (prefix: number[], suffix: number[]) => ({
  hash: 1,
  prefix: Uint8Array.from(prefix),
  suffix: Uint8Array.from(suffix),
});
const code = (action: () => unknown): string | undefined => {
  try {
    action();
  } catch (error) {
    return (error as { code?: string }).code;
  }
  return undefined;
};

describe("iavlSpec", () => {
  // height 2, size 3, version 100
  const header = [4, 6, 200, 1];

  it("tells the side of a step", () => {
    expect(iavlSpec.sideOf(step([...header, 32], [32, ...hash]), 1)).toBe("left");
    expect(iavlSpec.sideOf(step([...header, 32, ...hash, 32], []), 2)).toBe("right");
    expect(code(() => iavlSpec.checkLeafPrefix(Uint8Array.of(0, 2, 200, 1)))).toBeUndefined();
  });

  it.each([
    ["a node lower than its place on the path", [...header, 32], [32, ...hash], 3],
    ["a leaf's height", [0, 6, 200, 1, 32], [32, ...hash], 1],
    ["a leaf's size", [4, 2, 200, 1, 32], [32, ...hash], 1],
    ["a negative version", [4, 6, 201, 1, 32], [32, ...hash], 1],
    ["a varint with a needless byte", [4, 6, 200, 129, 0, 32], [32, ...hash], 1],
    ["a varint without end", [4, 6, 255, 255, 255, 255, 255, 255, 255, 255, 1, 32], [32, ...hash], 1],
    ["no hash length before the child", [...header], [32, ...hash], 1],
    ["another hash length", [...header, 31], [32, ...hash], 1],
    ["another length of the sibling", [...header, 32], [31, ...hash], 1],
    ["a sibling that is too short", [...header, 32], [32, ...hash.slice(1)], 1],
    ["a sibling on both sides", [...header, 32, ...hash, 32], [32, ...hash], 1],
    ["no sibling", [...header, 32], [], 1],
    ["a left sibling without the child's length", [...header, 32, ...hash, 31], [], 1],
  ])("refuses %s", (_, prefix, suffix, depth) => {
    expect(code(() => iavlSpec.sideOf(step(prefix, suffix), depth))).toBe("invalid_proof");
  });

  it.each([
    ["a height", [2, 2, 200, 1]],
    ["a size of two", [0, 4, 200, 1]],
    ["more than a header", [0, 2, 200, 1, 0]],
    ["less than a header", [0, 2]],
  ])("refuses a leaf with %s", (_, prefix) => {
    expect(code(() => iavlSpec.checkLeafPrefix(Uint8Array.from(prefix)))).toBe("invalid_proof");
  });
});

describe("simpleSpec", () => {
  it("tells the side of a step", () => {
    expect(simpleSpec.sideOf(step([1], hash), 1)).toBe("left");
    expect(simpleSpec.sideOf(step([1, ...hash], []), 1)).toBe("right");
  });

  it("refuses anything else", () => {
    for (const bad of [
      step([0], hash),
      step([1], []),
      step([1], hash.slice(1)),
      step([1, ...hash], hash),
      step([], hash),
    ]) {
      expect(code(() => simpleSpec.sideOf(bad, 1))).toBe("invalid_proof");
    }
    for (const prefix of [[], [1], [0, 0]]) {
      expect(code(() => simpleSpec.checkLeafPrefix(Uint8Array.from(prefix)))).toBe("invalid_proof");
    }
  });
});

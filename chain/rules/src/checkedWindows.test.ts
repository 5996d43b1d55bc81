import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type ArtifactPosition,
  checkValuesWindow,
  drawnWindow,
  FAR_UNITS,
  MAX_WINDOW_BYTES,
  openValues,
  secondLookDraw,
  sha256,
  u32,
  valuesAgree,
  valuesRoot,
  valuesWindows,
} from "./index.ts";
import { refused } from "./testing/refused.ts";

const CODING = { step: "1/128", k: 5 } as const;
/** Falling by one nat from `first`, each moved by `off` nats. */
const at = (first: number, off = 0): ArtifactPosition => ({
  id: 0,
  top: Array.from({ length: CODING.k }, (_, id) => ({ id, logprob: -(first + id) - off })),
});
const positions = (n: number, off: (i: number) => number = () => 0): ArtifactPosition[] =>
  Array.from({ length: n }, (_, i) => at(0.5 + (i % 7) / 10, off(i)));

describe("committed values", () => {
  test("open window by window, and nothing else opens", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200 }), fc.nat(), fc.nat(), (n, at_, flip) => {
        const windows = valuesWindows(positions(n), CODING);
        const root = valuesRoot(windows, n);
        const index = at_ % windows.length;
        const opening = openValues(windows, n, index);
        expect(checkValuesWindow(root, opening)).toBe(Math.min(32, n - 32 * index));
        const coded = opening.coded.slice();
        coded[flip % coded.length]! ^= 1;
        expect(refused(() => checkValuesWindow(root, { ...opening, coded }))).toBe(true);
        expect(refused(() => checkValuesWindow(root, { ...opening, positions: n + 1 }))).toBe(true);
        expect(refused(() => checkValuesWindow(root, { ...opening, index: index + 1 }))).toBe(true);
        expect(refused(() => checkValuesWindow(root, { ...opening, path: [...opening.path, root] }))).toBe(true);
        expect(refused(() => openValues(windows, n, windows.length))).toBe(true);
      }),
    );
  });

  test("that are committed to and no coded values are refused, however long", () => {
    for (const coded of [Uint8Array.of(1, 2, 3), new Uint8Array(MAX_WINDOW_BYTES + 1)]) {
      expect(
        refused(() => checkValuesWindow(valuesRoot([coded], 32), { index: 0, positions: 32, coded, path: [] })),
      ).toBe(true);
    }
  });

  test("of twenty alternatives at every position fit the bound", () => {
    const wide = Array.from({ length: 32 }, (_, i) => ({
      id: 99,
      top: [
        ...Array.from({ length: 20 }, (_, id) => ({ id, logprob: (i + id) % 2 === 0 ? -0.01 - id / 3 : -8.9 })),
        { id: 99, logprob: -9 },
      ],
    }));
    const [window] = valuesWindows(wide, { step: "1/128", k: 20 });
    expect(window!.length).toBeLessThanOrEqual(MAX_WINDOW_BYTES);
  });
});

describe("two windows agree", () => {
  const coded = (of: ArtifactPosition[]): Uint8Array => valuesWindows(of, CODING)[0]!;
  const far = FAR_UNITS / 128;

  test("where no more than a quarter of the positions are far apart", () => {
    const one = coded(positions(32));
    expect(valuesAgree(one, coded(positions(32, () => far - 1 / 128)), 32)).toBe(true);
    expect(valuesAgree(one, coded(positions(32, (i) => (i < 8 ? far : 0))), 32)).toBe(true);
    expect(valuesAgree(one, coded(positions(32, (i) => (i < 9 ? far : 0))), 32)).toBe(false);
    expect(valuesAgree(one, coded(positions(32, () => far)), 32)).toBe(false);
  });

  test("only in the same coding", () => {
    const other = valuesWindows(positions(32), { ...CODING, step: "1/64" })[0]!;
    expect(valuesAgree(coded(positions(32)), other, 32)).toBe(false);
  });

  test("either way round, and with themselves", () => {
    const off = fc.array(fc.double({ min: 0, max: 0.3, noNaN: true }), { minLength: 32, maxLength: 32 });
    fc.assert(
      fc.property(off, off, (a, b) => {
        const [one, other] = [a, b].map((each) => coded(positions(32, (i) => each[i]!))) as [Uint8Array, Uint8Array];
        expect(valuesAgree(one, other, 32)).toBe(valuesAgree(other, one, 32));
        expect(valuesAgree(one, one, 32)).toBe(true);
      }),
    );
  });
});

describe("the draws", () => {
  const ids = Array.from({ length: 20_000 }, (_, i) => sha256(u32(i)));

  test("of second looks have the stated rate", () => {
    const drawn = ids.filter((inferenceId) =>
      secondLookDraw({ beacon: sha256(u32(7)), inferenceId, rateMicros: 20_000 }),
    );
    expect(Math.abs(drawn.length - 400)).toBeLessThan(80);
  });

  test("of windows take each alike, and only those that are there", () => {
    const counts = [0, 0, 0];
    for (const id of ids) counts[drawnWindow(sha256(u32(7)), id, 70)]!++;
    for (const count of counts) expect(Math.abs(count - ids.length / 3)).toBeLessThan(300);
    expect(drawnWindow(sha256(u32(7)), ids[0]!, 32)).toBe(0);
  });
});

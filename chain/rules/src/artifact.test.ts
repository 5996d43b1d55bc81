import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  ARTIFACT_STEPS,
  type ArtifactCommitment,
  type ArtifactPosition,
  artifactLeaf,
  artifactProof,
  artifactRoot,
  DEFAULT_SAMPLING,
  decodeArtifact,
  encodeArtifact,
  positionValues,
  verifyArtifactProof,
} from "./index.ts";
import { refused } from "./testing/refused.ts";

const VOCABULARY = 500;
const HALF_STEP = { "1/16": 1 / 32, "1/32": 1 / 64, "1/64": 1 / 128, "1/128": 1 / 256 };
const position = fc
  .uniqueArray(fc.record({ id: fc.nat(VOCABULARY - 1), logprob: fc.double({ min: -14, max: 0, noNaN: true }) }), {
    selector: ({ id }) => id,
    minLength: 1,
    maxLength: 12,
  })
  .chain((top) => fc.record({ id: fc.constantFrom(...top.map(({ id }) => id)), top: fc.constant(top) }));
const artifact = fc.record({
  positions: fc.array(position, { maxLength: 80 }),
  step: fc.constantFrom(...ARTIFACT_STEPS),
  k: fc.integer({ min: 1, max: 20 }),
});

describe("artifact coding", () => {
  test("keeps the rank of the chosen token, falling values, and each of them within half a step", () => {
    fc.assert(
      fc.property(artifact, ({ positions, step, k }) => {
        const bytes = encodeArtifact(positions, { step, k });
        const decoded = decodeArtifact(bytes, { length: positions.length, vocabularySize: VOCABULARY });
        expect([decoded.step, decoded.k]).toEqual([step, k]);
        for (const [i, { rank, values }] of decoded.positions.entries()) {
          const original = positionValues(positions[i]!, k);
          expect(rank).toBe(original.rank);
          expect(values).toHaveLength(original.values.length);
          for (const [j, value] of values.entries()) {
            const real = Math.max(-9, original.values[j]!);
            expect(Math.abs(value - real)).toBeLessThanOrEqual(HALF_STEP[step] + 1e-9);
          }
        }
        expect(encodeArtifact(decoded.positions, { step, k })).toEqual(bytes);
      }),
    );
  });

  test("of five values at a step of 1/128 takes at most six bytes a token at chat entropies", () => {
    // Exponential gaps of 0.7 nats: the mean of the small model's texts.
    let state = 1;
    const next = (): number => {
      state = (state * 48_271) % 2_147_483_647;
      return state / 2_147_483_647;
    };
    const positions = Array.from({ length: 200 }, () => {
      let logprob = 0;
      const top = Array.from({ length: 5 }, (_, id) => {
        logprob += 0.7 * Math.log(next());
        return { id, logprob };
      });
      return { id: next() < 0.6 ? 0 : 1, top };
    });
    expect(encodeArtifact(positions, { step: "1/128", k: 5 }).length / positions.length).toBeLessThanOrEqual(6);
  });

  test("a changed byte is refused or decodes to something else, never to the same", () => {
    fc.assert(
      fc.property(artifact, fc.nat(), fc.integer({ min: 1, max: 255 }), ({ positions, step, k }, where, flip) => {
        const bytes = encodeArtifact(positions, { step, k });
        const mutated = bytes.slice();
        mutated[where % bytes.length]! ^= flip;
        const expected = { length: positions.length, vocabularySize: VOCABULARY };
        const same = !refused(() => decodeArtifact(mutated, expected));
        if (same)
          expect(
            encodeArtifact(decodeArtifact(mutated, expected).positions, decodeArtifact(mutated, expected)),
          ).not.toEqual(bytes);
      }),
    );
  });

  const position1: ArtifactPosition = {
    id: 3,
    top: [
      { id: 3, logprob: -0.5 },
      { id: 9, logprob: -1.5 },
    ],
  };
  // 0x20, k = 2; rank 0 in one bit, then gaps of 8 and 16 with three low bits each: 0 · 10 000 · 110 000, and three bits of filling.
  const good = encodeArtifact([position1], { step: "1/16", k: 2 });

  test("has the bytes that it always had", () => {
    expect([...good]).toEqual([0x20, 2, 0b0_10_000_11, 0b0_000_0000]);
  });

  test.each<[string, Uint8Array, number]>([
    ["nothing", new Uint8Array(), 0],
    ["the version before", Uint8Array.of(0x10, 5), 0],
    ["an unknown step", Uint8Array.of(0x24, 5), 0],
    ["no alternatives", Uint8Array.of(0x20, 0), 0],
    ["too many alternatives", Uint8Array.of(0x20, 21), 0],
    ["too few positions", good, 2],
    ["far too few positions", good, 1_000_000_000],
    ["trailing bytes", Uint8Array.from([...good, 0]), 1],
    ["filling that is not zero", good.with(3, 1), 1],
    ["a value below the floor", Uint8Array.of(0x20, 1, 0b0_1111111, 0b11111_001, 0b00100100), 1],
    ["a short gap written out", Uint8Array.of(0x20, 1, 0b0_1111111, 0b11111_000, 0b00001_000), 1],
  ])("%s is refused", (_, bytes, length) => {
    expect(refused(() => decodeArtifact(bytes, { length, vocabularySize: VOCABULARY }))).toBe(true);
  });

  test("more alternatives than there are tokens are refused", () => {
    expect(refused(() => decodeArtifact(good, { length: 1, vocabularySize: 1 }))).toBe(true);
  });

  test.each<[string, ArtifactPosition]>([
    ["a chosen token that is not listed", { id: 1, top: [{ id: 2, logprob: -1 }] }],
    ["a value that is no number", { id: 1, top: [{ id: 1, logprob: Number.NaN }] }],
    [
      "a token listed twice",
      {
        id: 1,
        top: [
          { id: 1, logprob: -1 },
          { id: 1, logprob: -2 },
        ],
      },
    ],
  ])("%s is not encoded", (_, bad) => {
    expect(refused(() => encodeArtifact([bad], { step: "1/16", k: 5 }))).toBe(true);
  });
});

describe("artifact root", () => {
  const positions = Array.from({ length: 100 }, (_, i) => ({
    id: i,
    top: [
      { id: i, logprob: -1 },
      { id: 200, logprob: -2 },
    ],
  }));
  const base: ArtifactCommitment = {
    inferenceId: new Uint8Array(32).fill(1),
    promptHash: new Uint8Array(32).fill(2),
    seed: new Uint8Array(32).fill(3),
    params: DEFAULT_SAMPLING,
    positions,
    step: "1/32",
    k: 5,
  };

  test("is the same for values before and after quantising", () => {
    const bytes = encodeArtifact(positions, base);
    const decoded = decodeArtifact(bytes, { length: 100, vocabularySize: VOCABULARY });
    const withIds = decoded.positions.map((values, i) => ({ ...values, id: positions[i]!.id }));
    expect(artifactRoot({ ...base, positions: withIds })).toEqual(artifactRoot(base));
  });

  test.each<[string, Partial<ArtifactCommitment>]>([
    ["inference", { inferenceId: new Uint8Array(32) }],
    ["prompt", { promptHash: new Uint8Array(32) }],
    ["seed", { seed: new Uint8Array(32) }],
    ["sampling", { params: { ...DEFAULT_SAMPLING, temperatureMicros: 1 } }],
    [
      "a token",
      {
        positions: positions.with(50, {
          id: 7,
          top: [
            { id: 7, logprob: -1 },
            { id: 200, logprob: -2 },
          ],
        }),
      },
    ],
    ["the length", { positions: positions.slice(0, 99) }],
  ])("binds %s: an artifact cannot be replayed elsewhere", (_, change) => {
    expect(artifactRoot({ ...base, ...change })).not.toEqual(artifactRoot(base));
  });

  test("opens window by window, and nothing else opens", () => {
    const root = artifactRoot(base);
    for (const index of [0, 1, 2, 3]) {
      const proof = artifactProof(base, index);
      expect(verifyArtifactProof(root, proof)).toBe(true);
      const window = positions.slice(32 * index, 32 * index + 32);
      expect(artifactLeaf({ ...base, positions: window }, index)).toEqual(proof.leaf);
      expect(artifactLeaf({ ...base, positions: window }, index + 1)).not.toEqual(proof.leaf);
      expect(verifyArtifactProof(root, { ...proof, index: (index + 1) % 4 })).toBe(false);
      expect(verifyArtifactProof(root, { ...proof, positions: 99 })).toBe(false);
      expect(verifyArtifactProof(root, { ...proof, path: proof.path.slice(1) })).toBe(false);
    }
    expect(refused(() => artifactProof(base, 4))).toBe(true);
  });
});

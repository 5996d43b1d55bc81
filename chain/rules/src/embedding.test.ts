import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  canonicalJson,
  decodeVectors,
  encodeVectors,
  SKETCH_CODING,
  sanitizeRequest,
  scoreEmbedding,
  sketchOf,
  unitVector,
  valuesAgree,
  valuesWindows,
  vectorDistance,
  vectorsRoot,
} from "./index.ts";

const DIMENSIONS = 96;
const vector = fc
  .array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: DIMENSIONS, maxLength: DIMENSIONS })
  .filter((components) => components.some((component) => Math.abs(component) > 0.01))
  .map(unitVector);
/** As another machine computes the same. */
const nearly = (of: Float32Array, noise: number, seed: number): Float32Array =>
  unitVector(of.map((component, i) => component + (noise * Math.sin(seed + 7 * i)) / Math.sqrt(of.length)));

describe("vectors", () => {
  test("are read as they were written", () => {
    fc.assert(
      fc.property(fc.array(vector, { minLength: 1, maxLength: 4 }), (vectors) => {
        const bytes = encodeVectors(vectors);
        expect(decodeVectors(bytes, { count: vectors.length, dimensions: DIMENSIONS })).toEqual(vectors);
      }),
    );
  });

  test.each([
    ["too few", encodeVectors([unitVector([1, 1])]), 2, 2],
    ["too many", encodeVectors([unitVector([1, 1]), unitVector([1, 2])]), 1, 2],
    ["of other dimensions", encodeVectors([unitVector([1, 1])]), 1, 3],
    ["not of length 1", encodeVectors([Float32Array.of(1, 1)]), 1, 2],
    ["not numbers", encodeVectors([Float32Array.of(Number.NaN, 1)]), 1, 2],
    ["with a zero that has a sign, which JSON has not", encodeVectors([Float32Array.of(1, -0)]), 1, 2],
    ["of another version", encodeVectors([unitVector([1, 1])]).with(0, 0x20), 1, 2],
    ["none", new Uint8Array(), 1, 2],
  ])("that are %s are refused", (_, bytes, count, dimensions) => {
    expect(() => decodeVectors(bytes, { count, dimensions })).toThrow(
      expect.objectContaining({ code: "invalid_artifact" }),
    );
  });

  test("read back from JSON as the same bytes, whatever they were", () => {
    fc.assert(
      fc.property(fc.array(fc.float({ noNaN: true, noDefaultInfinity: true }), { minLength: 1 }), (components) => {
        fc.pre(components.some((component) => component !== 0));
        const vectors = [unitVector(components)];
        const shown: number[] = JSON.parse(JSON.stringify([...vectors[0]!]));
        expect(encodeVectors([Float32Array.from(shown)])).toEqual(encodeVectors(vectors));
        expect(decodeVectors(encodeVectors(vectors), { count: 1, dimensions: components.length })).toEqual(vectors);
      }),
    );
  });

  test("without a direction are none", () => {
    expect(() => unitVector([0, 0])).toThrow(expect.objectContaining({ code: "invalid_artifact" }));
    expect(() => unitVector([Number.POSITIVE_INFINITY, 0])).toThrow(
      expect.objectContaining({ code: "invalid_artifact" }),
    );
  });

  test("and what they are vectors of change the root", () => {
    const commitment = {
      inferenceId: new Uint8Array(32),
      promptHash: new Uint8Array(32),
      dimensions: 2,
      artifact: encodeVectors([unitVector([1, 1])]),
    };
    const root = vectorsRoot(commitment);
    expect(vectorsRoot({ ...commitment })).toEqual(root);
    for (const other of [
      { inferenceId: new Uint8Array(32).fill(1) },
      { promptHash: new Uint8Array(32).fill(1) },
      { dimensions: 1 },
      { artifact: encodeVectors([unitVector([1, 2])]) },
    ]) {
      expect(vectorsRoot({ ...commitment, ...other })).not.toEqual(root);
    }
  });
});

describe("what validators commit to", () => {
  const window = (vectors: readonly Float32Array[]): Uint8Array =>
    valuesWindows(vectors.map(sketchOf), SKETCH_CODING)[0]!;

  test("agrees where the same was computed with other rounding", () => {
    fc.assert(
      fc.property(fc.array(vector, { minLength: 1, maxLength: 8 }), fc.nat(1_000), (vectors, seed) => {
        const others = vectors.map((each) => nearly(each, 0.01, seed));
        expect(valuesAgree(window(vectors), window(others), vectors.length)).toBe(true);
      }),
    );
  });

  test("does not agree where vectors have nothing in common", () => {
    fc.assert(
      fc.property(fc.array(vector, { minLength: 1, maxLength: 8 }), fc.nat(1_000), (vectors, seed) => {
        const others = vectors.map((each) => unitVector(each.map((_, i) => Math.sin(seed + 3 * i * i))));
        fc.pre(vectors.every((each, i) => vectorDistance(each, others[i]!) > 1));
        expect(valuesAgree(window(vectors), window(others), vectors.length)).toBe(false);
      }),
    );
  });
});

describe("the score of an embedding", () => {
  const distances = Array.from({ length: 400 }, (_, i) => 0.001 + i * 1e-6);
  const profile = { alphaFail: 1e-3, embedding: { dimensions: DIMENSIONS, distances } };
  const own = Array.from({ length: 40 }, (_, i) =>
    unitVector(Array.from({ length: DIMENSIONS }, (_, j) => Math.sin(i + j))),
  );

  test("passes what is as near as honest runs are, also of many vectors", () => {
    expect(scoreEmbedding(profile, own, own)).toMatchObject({ verdict: "pass", p: 1 });
    const near = own.map((each, i) => nearly(each, 0.001, i));
    expect(scoreEmbedding(profile, near, own).verdict).toBe("pass");
  });

  test("fails one vector of another model among forty", () => {
    const forged = own.with(17, unitVector(own[17]!.map((component, i) => component + 0.01 * Math.cos(5 * i))));
    expect(scoreEmbedding(profile, forged, own)).toMatchObject({ verdict: "fail", reason: "distance" });
  });

  test.each([3, 20, 40])("fails %i vectors that are all a little too far, and passes when a few are", (count) => {
    const some = own.slice(0, count);
    const far = (each: Float32Array, i: number): Float32Array => nearly(each, 0.004, i);
    const usual = { ...profile, alphaFail: 5e-3 };
    expect(scoreEmbedding(usual, some.map(far), some)).toMatchObject({ verdict: "fail", reason: "distance" });
    const rare = some.map((each, i) => (i % 20 === 0 ? nearly(each, 0.0015, i) : each));
    expect(scoreEmbedding(usual, rare, some).verdict).toBe("pass");
  });

  test("abstains where too few honest runs are known, or none", () => {
    const few = { ...profile, embedding: { dimensions: DIMENSIONS, distances: distances.slice(0, 50) } };
    expect(scoreEmbedding(few, own, own)).toMatchObject({ verdict: "abstain", reason: "uncalibrated" });
    expect(scoreEmbedding({ alphaFail: 1e-3 }, own, own)).toMatchObject({ verdict: "abstain", p: 1 });
  });
});

describe("a request for embeddings", () => {
  test("is the model and the texts, one or many", () => {
    const one = sanitizeRequest({ model: "m", input: "a", encoding_format: "base64", user: "u", dimensions: 3 });
    expect(canonicalJson(one)).toBe('{"input":["a"],"model":"m"}');
    expect(sanitizeRequest({ model: "m", input: ["a"] })).toEqual(one);
    expect(sanitizeRequest(JSON.parse(canonicalJson(one)))).toEqual(one);
  });

  test.each([
    ["no texts", { input: [] }],
    ["an empty text", { input: ["a", ""] }],
    ["token ids", { input: [[1, 2]] }],
    ["half a character", { input: "\ud800" }],
    ["too many texts", { input: Array.from({ length: 2_049 }, () => "a") }],
  ])("of %s is refused", (_, fields) => {
    expect(() => sanitizeRequest({ model: "m", ...fields })).toThrow(
      expect.objectContaining({ code: "invalid_request", param: "input" }),
    );
  });

  test("leaves a chat what it is", () => {
    const messages = [{ role: "user", content: "a" }];
    expect(sanitizeRequest({ model: "m", messages, input: "b" })).toEqual({ model: "m", messages });
  });
});

/**
 * Embeddings. An embedding is an answer of one output token for each input: the input's own last token, at whose place the vector is read. The vectors
 * are its artifact, exactly as they are delivered; what a validator commits to is a sketch of its own.
 */
import type { ArtifactCoding, ArtifactPosition } from "./artifact.ts";
import { RuleError } from "./errors.ts";
import { concatBytes, domainHash, sha256 } from "./hash.ts";

export const EMBEDDING_LIMITS = {
  dimensions: 8_192,
  /** Of all vectors of one answer together: 1 MiB. */
  components: 262_144,
  /**
   * Of all inputs of one request. A validator reads as much as the executor did, and has less time: whoever can answer a long prompt can do
   * that much.
   */
  tokens: 65_536,
} as const;

/** Coding of the sketches that validators commit to. */
export const SKETCH_CODING: ArtifactCoding = { step: "1/128", k: 20 };

/** First byte of an artifact that holds vectors. */
const VERSION = 3 << 4;
/** How far the length of a delivered vector may be from 1. */
const NORM_TOLERANCE = 1e-3;
/** Nats for each unit of a projection: the sum of twenty of them, 0.8 in the mean, is well above the floor. */
const NATS_PER_UNIT = 0.375;

/** Canonical bytes: a version, then the components as float32, little-endian. */
export function encodeVectors(vectors: readonly Float32Array[]): Uint8Array {
  return concatBytes(Uint8Array.of(VERSION), ...vectors.map(vectorBytes));
}

/**
 * Throws `invalid_artifact` unless these are `count` vectors of length 1 and of so many dimensions. JSON has no zero with a sign: a client
 * that is shown numbers could not make the same bytes of them.
 */
export function decodeVectors(
  bytes: Uint8Array,
  { count, dimensions }: { readonly count: number; readonly dimensions: number },
): Float32Array[] {
  if (bytes[0] !== VERSION || bytes.length !== 1 + 4 * count * dimensions) throw invalid("not so many vectors");
  const view = new DataView(bytes.buffer, bytes.byteOffset + 1, bytes.byteLength - 1);
  return Array.from({ length: count }, (_, i) => {
    const vector = Float32Array.from({ length: dimensions }, (_, j) => view.getFloat32(4 * (i * dimensions + j), true));
    if (!(Math.abs(norm(vector) - 1) <= NORM_TOLERANCE)) throw invalid("a vector that is not of length 1");
    if (vector.some((component) => Object.is(component, -0))) throw invalid("a zero with a sign");
    return vector;
  });
}

/** The components as float32, little-endian: what `encoding_format: base64` delivers. */
export function vectorBytes(vector: Float32Array): Uint8Array {
  const view = new DataView(new ArrayBuffer(4 * vector.length));
  for (const [i, component] of vector.entries()) view.setFloat32(4 * i, component, true);
  return new Uint8Array(view.buffer);
}

/** The vector as a direction: length 1, zeros without a sign. Throws `invalid_artifact` on one that has none. */
export function unitVector(components: readonly number[] | Float32Array): Float32Array {
  const length = norm(components);
  if (!(length > 0 && Number.isFinite(length))) throw invalid("a vector without a direction");
  return Float32Array.from(components, (component) => Math.fround(component / length) + 0);
}

/** The first components of a vector as a direction of its own, as `dimensions` asks for them; all zero where they have none. */
export function shortened(vector: Float32Array, dimensions: number): Float32Array {
  if (dimensions >= vector.length) return vector;
  const first = vector.slice(0, dimensions);
  return first.every((component) => component === 0) ? first : unitVector(first);
}

export interface VectorsCommitment {
  readonly inferenceId: Uint8Array;
  /** SHA-256 of the token ids of all inputs, one behind the other. */
  readonly promptHash: Uint8Array;
  readonly dimensions: number;
  /** As `encodeVectors` writes it. */
  readonly artifact: Uint8Array;
}

/** What the executor's statement binds as `artifact_root`. 32 bytes. */
export function vectorsRoot({ inferenceId, promptHash, dimensions, artifact }: VectorsCommitment): Uint8Array {
  return domainHash("karat/embedding", inferenceId, promptHash, BigInt(dimensions), sha256(artifact));
}

/** Distance of two directions: 0 for the same, √2 for what has nothing in common. */
export function vectorDistance(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i]! - b[i]!) ** 2;
  return Math.sqrt(sum);
}

/**
 * A vector in the coding of log-probabilities, for a validator's commitment: the absolute values of its projections on twenty fixed directions of random
 * signs, one added to the other, as values that fall. Small differences of the vector are small here; vectors of another model are far apart.
 */
export function sketchOf(vector: Float32Array): ArtifactPosition {
  let value = 0;
  const top = signsOf(vector.length).map((signs, id) => {
    let projection = 0;
    for (let i = 0; i < vector.length; i++) projection += signs[i]! * vector[i]!;
    value -= Math.abs(projection) * NATS_PER_UNIT;
    return { id, logprob: value };
  });
  return { id: 0, top };
}

/** Of the dimensions that were asked for last: a process has one model. */
let known: { readonly dimensions: number; readonly signs: readonly Int8Array[] } | undefined;

/** For each projection a sign for each component: bits of SHA-256. */
function signsOf(dimensions: number): readonly Int8Array[] {
  if (known?.dimensions !== dimensions) {
    const signs = Array.from({ length: SKETCH_CODING.k }, (_, projection) => {
      const row = new Int8Array(dimensions);
      for (let block = 0; 256 * block < dimensions; block++) {
        const bits = domainHash("karat/embedding-sketch", BigInt(projection), BigInt(block));
        for (let i = 0; i < 256 && 256 * block + i < dimensions; i++) {
          row[256 * block + i] = (bits[i >> 3]! >> (i & 7)) & 1 ? 1 : -1;
        }
      }
      return row;
    });
    known = { dimensions, signs };
  }
  return known.signs;
}

function norm(components: readonly number[] | Float32Array): number {
  let sum = 0;
  for (const component of components) sum += component * component;
  return Math.sqrt(sum);
}

const invalid = (what: string): RuleError =>
  new RuleError("invalid_artifact", "artifact", `no artifact of an embedding: ${what}`);

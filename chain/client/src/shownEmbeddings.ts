import { fromBase64, toBase64, toHex } from "@karat/common";
import type { EmbeddingFormat } from "@karat/common/openai";
import type { sign } from "@karat/proto";
import { decodeVectors, encodeVectors, shortened, vectorBytes, vectorsRoot } from "@karat/rules";
import { mismatch } from "./delivery.ts";
import type { Shown, ShownUsage } from "./shownAnswer.ts";

/** The object of `/v1/embeddings`. */
export interface EmbeddingsObject {
  readonly data?: readonly { readonly index?: number; readonly embedding?: unknown }[];
  readonly usage?: { readonly prompt_tokens: number; readonly total_tokens: number };
  /** Where `dimensions` were asked for, its `vectors` are the whole ones that the executor has signed. */
  readonly karat?: unknown;
}

/**
 * Vectors as a client has been shown them. KaratError `receipt_mismatch` {embedding} for any that are not those of its inputs in their order, in the
 * encoding that it asked for, with the root that the executor has signed.
 */
export class ShownEmbeddings implements Shown<never, EmbeddingsObject> {
  readonly #format: EmbeddingFormat;
  readonly #inputs: number;
  #vectors: readonly Float32Array[] = [];
  /** The signed root stands for the vectors: the text beside them is none. */
  readonly text = "";
  readonly calls = [];
  readonly failed = false;
  readonly ended = true;
  usage: ShownUsage | undefined;
  karat: unknown;

  constructor(format: EmbeddingFormat, inputs: number) {
    this.#format = format;
    this.#inputs = inputs;
  }

  addWhole({ data = [], usage, karat }: EmbeddingsObject): void {
    if (data.length !== this.#inputs) throw mismatch("embedding");
    this.#vectors = data.map(({ index, embedding }, i) => {
      if (index !== i) throw mismatch("embedding");
      return this.#format.encoding === "float" ? fromNumbers(embedding) : fromBytes(embedding);
    });
    const completion = (usage?.total_tokens ?? 0) - (usage?.prompt_tokens ?? 0);
    this.usage = usage && { prompt_tokens: usage.prompt_tokens, completion_tokens: completion };
    this.karat = karat;
  }

  add(): never {
    throw mismatch("events");
  }

  requireEnd(reason: "stop" | "length"): void {
    if (reason !== "length") throw mismatch("finish_reason");
  }

  /** Throws unless the executor's response, which is verified already, is about these vectors. */
  requireSigned({ inferenceId, promptHash, artifactRoot }: sign.ResponseReceipt): void {
    const whole = this.#format.dimensions === undefined ? this.#vectors : this.#wholeVectors();
    const dimensions = whole[0]?.length ?? 0;
    const root = vectorsRoot({ inferenceId, promptHash, dimensions, artifact: encodeVectors(whole) });
    const even = whole.every(({ length }) => length === dimensions);
    if (!even || toHex(root) !== toHex(artifactRoot)) throw mismatch("embedding");
  }

  /** What those are the first components of, as many as were asked for. */
  #wholeVectors(): readonly Float32Array[] {
    const { vectors: listed } = this.karat as { vectors?: unknown };
    const bytes = typeof listed === "string" ? fromBase64(listed) : new Uint8Array();
    const whole = decoded(bytes, this.#inputs);
    const wanted = this.#format.dimensions ?? 0;
    const isFirst = (vector: Float32Array, i: number): boolean =>
      toBase64(vectorBytes(vector)) === toBase64(vectorBytes(shortened(whole[i]!, wanted)));
    if (!this.#vectors.every(isFirst)) throw mismatch("embedding");
    return whole;
  }
}

function decoded(bytes: Uint8Array, count: number): Float32Array[] {
  try {
    return decodeVectors(bytes, { count, dimensions: Math.floor((bytes.length - 1) / (4 * count)) });
  } catch (error) {
    throw mismatch("vectors", error);
  }
}

function fromNumbers(shown: unknown): Float32Array {
  const exact = (component: unknown): boolean => typeof component === "number" && Math.fround(component) === component;
  if (!Array.isArray(shown) || !shown.every(exact)) throw mismatch("embedding");
  return Float32Array.from(shown as number[]);
}

function fromBytes(shown: unknown): Float32Array {
  const bytes = typeof shown === "string" ? fromBase64(shown) : new Uint8Array();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const vector = Float32Array.from({ length: bytes.length >> 2 }, (_, i) => view.getFloat32(4 * i, true));
  if (toBase64(vectorBytes(vector)) !== shown) throw mismatch("embedding");
  return vector;
}

import { fromBase64, toBase64, toHex } from "@karat/common";
import type { EmbeddingFormat } from "@karat/common/openai";
import type { sign } from "@karat/proto";
import { encodeVectors, vectorBytes, vectorsRoot } from "@karat/rules";
import { mismatch } from "./delivery.ts";
import type { Shown, ShownUsage } from "./shownAnswer.ts";

/** The object of `/v1/embeddings`. */
export interface EmbeddingsObject {
  readonly data?: readonly { readonly index?: number; readonly embedding?: unknown }[];
  readonly usage?: { readonly prompt_tokens: number; readonly total_tokens: number };
  readonly karat?: unknown;
}

/**
 * Vectors as a client has been shown them. KaratError `receipt_mismatch` {embedding} for any that are not those of its inputs in their order, in the
 * encoding that it asked for, with the root that the executor has signed.
 */
export class ShownEmbeddings implements Shown<never, EmbeddingsObject> {
  readonly #encoding: EmbeddingFormat["encoding"];
  readonly #inputs: number;
  #vectors: readonly Float32Array[] = [];
  /** The signed root stands for the vectors: the text beside them is none. */
  readonly text = "";
  readonly calls = [];
  readonly failed = false;
  readonly ended = true;
  usage: ShownUsage | undefined;
  karat: unknown;

  constructor(encoding: EmbeddingFormat["encoding"], inputs: number) {
    this.#encoding = encoding;
    this.#inputs = inputs;
  }

  addWhole({ data = [], usage, karat }: EmbeddingsObject): void {
    if (data.length !== this.#inputs) throw mismatch("embedding");
    this.#vectors = data.map(({ index, embedding }, i) => {
      if (index !== i) throw mismatch("embedding");
      return this.#encoding === "float" ? fromNumbers(embedding) : fromBytes(embedding);
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
    const dimensions = this.#vectors[0]?.length ?? 0;
    const artifact = encodeVectors(this.#vectors);
    const root = vectorsRoot({ inferenceId, promptHash, dimensions, artifact });
    const even = this.#vectors.every(({ length }) => length === dimensions);
    if (!even || toHex(root) !== toHex(artifactRoot)) throw mismatch("embedding");
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

/** The embeddings endpoint: how vectors are wanted, and the object that holds them. */
import { toBase64 } from "../bytes.ts";
import { KaratError } from "../errors.ts";

export interface EmbeddingFormat {
  /** base64: of the components as float32, little-endian. */
  encoding: "float" | "base64";
  /** Undefined: as many as the model's vectors have. Fewer: their first ones, as directions of their own. */
  dimensions: number | undefined;
}

/** How a body wants its vectors. Throws `invalid_request` with `param`. */
export function embeddingFormat(body: Readonly<Record<string, unknown>>): EmbeddingFormat {
  const encoding = body.encoding_format ?? "float";
  if (encoding !== "float" && encoding !== "base64") throw refuse("encoding_format", "must be float or base64");
  const dimensions = body.dimensions ?? undefined;
  if (dimensions === undefined) return { encoding, dimensions };
  if (typeof dimensions === "number" && Number.isInteger(dimensions) && dimensions > 0) return { encoding, dimensions };
  throw refuse("dimensions", "must be a positive integer");
}

/** Throws `invalid_request` for more dimensions than the model's own. */
export function requireDimensions(wanted: number | undefined, own: number): void {
  if (wanted !== undefined && wanted > own) throw refuse("dimensions", `this model's vectors have ${own}`);
}

export interface EmbeddingList {
  object: "list";
  data: { object: "embedding"; index: number; embedding: number[] | string }[];
  model: string;
  usage: { prompt_tokens: number; total_tokens: number };
}

/** `vectors`: components as float32, little-endian; as numbers they read back as the same float32. */
export function embeddingList(
  model: string,
  vectors: readonly Uint8Array[],
  encoding: EmbeddingFormat["encoding"],
  usage: { readonly prompt_tokens: number; readonly total_tokens: number },
): EmbeddingList {
  const shown = encoding === "base64" ? toBase64 : components;
  return {
    object: "list",
    data: vectors.map((vector, index) => ({ object: "embedding", index, embedding: shown(vector) })),
    model,
    usage: { prompt_tokens: usage.prompt_tokens, total_tokens: usage.total_tokens },
  };
}

function components(vector: Uint8Array): number[] {
  const view = new DataView(vector.buffer, vector.byteOffset, vector.byteLength);
  return Array.from({ length: vector.length / 4 }, (_, i) => view.getFloat32(4 * i, true));
}

const refuse = (param: string, problem: string): KaratError =>
  new KaratError("invalid_request", `${param}: ${problem}`, { param });

/**
 * Reads and validates the header of a GGUF file (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md) before the
 * native loader sees it: a file with a missing key or tensors beyond its end aborts the whole process there.
 */
import { type FileHandle, open } from "node:fs/promises";
import { KaratError } from "@karat/common";

export type GgufValue = number | bigint | boolean | string | GgufValue[];

export interface GgufTensor {
  name: string;
  /** Fastest dimension first. */
  dimensions: readonly number[];
  type: number;
  offset: number;
}

export interface GgufHeader {
  version: number;
  metadata: ReadonlyMap<string, GgufValue>;
  tensors: readonly GgufTensor[];
}

const MAX_HEADER_BYTES = 256 * 1024 * 1024;
const MAX_ENTRIES = 100_000;
const MAX_ARRAY = 4_000_000;

/** ggml type → [name, elements per block, bytes per block]. Types that llama.cpp 2026 stores weights in. */
const TENSOR_TYPES: ReadonlyMap<number, readonly [string, number, number]> = new Map([
  [0, ["f32", 1, 4]],
  [1, ["f16", 1, 2]],
  [2, ["q4_0", 32, 18]],
  [3, ["q4_1", 32, 20]],
  [6, ["q5_0", 32, 22]],
  [7, ["q5_1", 32, 24]],
  [8, ["q8_0", 32, 34]],
  [10, ["q2_k", 256, 84]],
  [11, ["q3_k", 256, 110]],
  [12, ["q4_k", 256, 144]],
  [13, ["q5_k", 256, 176]],
  [14, ["q6_k", 256, 210]],
  [16, ["iq2_xxs", 256, 66]],
  [17, ["iq2_xs", 256, 74]],
  [18, ["iq3_xxs", 256, 98]],
  [19, ["iq1_s", 256, 50]],
  [20, ["iq4_nl", 32, 18]],
  [21, ["iq3_s", 256, 110]],
  [22, ["iq2_s", 256, 82]],
  [23, ["iq4_xs", 256, 136]],
  [24, ["i8", 1, 1]],
  [25, ["i16", 1, 2]],
  [26, ["i32", 1, 4]],
  [28, ["f64", 1, 8]],
  [29, ["iq1_m", 256, 56]],
  [30, ["bf16", 1, 2]],
  [39, ["mxfp4", 32, 17]],
]);

/** Keys whose absence makes the loader fail or abort (measured one by one), after `<architecture>.`. */
const REQUIRED_KEYS = [
  "context_length",
  "embedding_length",
  "block_count",
  "feed_forward_length",
  "attention.head_count",
] as const;

/** The header of a well-formed model file; a KaratError `invalid_gguf` {path, reason} for anything else. */
export async function readGgufHeader(path: string): Promise<GgufHeader> {
  const file = await open(path, "r").catch((cause: unknown) => {
    throw new KaratError("invalid_gguf", "the model file cannot be opened", { path, reason: "unreadable" }, cause);
  });
  try {
    const { size } = await file.stat();
    const reader = new HeaderReader(file, size, path);
    return validate(await parse(reader), reader, size);
  } finally {
    await file.close();
  }
}

/** The storage type that most of the weights have. */
export function quantizationOf(header: GgufHeader): string {
  const elements = new Map<string, number>();
  for (const tensor of header.tensors) {
    const name = TENSOR_TYPES.get(tensor.type)?.[0] ?? "unknown";
    elements.set(name, (elements.get(name) ?? 0) + tensor.dimensions.reduce((product, n) => product * n, 1));
  }
  return [...elements].sort((a, b) => b[1] - a[1])[0]?.[0] ?? "unknown";
}

async function parse(reader: HeaderReader): Promise<GgufHeader & { dataStart: number }> {
  if ((await reader.u32()) !== 0x46554747) throw reader.error("magic");
  const version = await reader.u32();
  if (version !== 2 && version !== 3) throw reader.error("version");
  const tensorCount = await reader.count(MAX_ENTRIES);
  const keyCount = await reader.count(MAX_ENTRIES);
  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < keyCount; i++) {
    const key = await reader.string();
    metadata.set(key, await reader.value(await reader.u32()));
  }
  const tensors: GgufTensor[] = [];
  for (let i = 0; i < tensorCount; i++) {
    const name = await reader.string();
    const rank = await reader.u32();
    if (rank < 1 || rank > 4) throw reader.error("tensor_rank");
    const dimensions: number[] = [];
    for (let d = 0; d < rank; d++) dimensions.push(await reader.count(Number.MAX_SAFE_INTEGER));
    tensors.push({ name, dimensions, type: await reader.u32(), offset: await reader.count(Number.MAX_SAFE_INTEGER) });
  }
  const alignment = Number(metadata.get("general.alignment") ?? 32);
  if (!Number.isSafeInteger(alignment) || alignment < 1) throw reader.error("alignment");
  return { version, metadata, tensors, dataStart: Math.ceil(reader.position / alignment) * alignment };
}

function validate(header: GgufHeader & { dataStart: number }, reader: HeaderReader, size: number): GgufHeader {
  const architecture = header.metadata.get("general.architecture");
  if (typeof architecture !== "string") throw reader.error("missing general.architecture");
  for (const key of REQUIRED_KEYS) {
    if (!header.metadata.has(`${architecture}.${key}`)) throw reader.error(`missing ${architecture}.${key}`);
  }
  if (!Array.isArray(header.metadata.get("tokenizer.ggml.tokens"))) throw reader.error("missing tokenizer.ggml.tokens");
  if (header.tensors.length === 0) throw reader.error("no tensors");
  for (const tensor of header.tensors) {
    const type = TENSOR_TYPES.get(tensor.type);
    if (!type) throw reader.error(`tensor type ${tensor.type}`);
    const [, block, bytes] = type;
    const elements = tensor.dimensions.reduce((product, n) => product * n, 1);
    if ((tensor.dimensions[0] ?? 0) % block !== 0) throw reader.error(`row length of ${tensor.name}`);
    if (header.dataStart + tensor.offset + (elements / block) * bytes > size) throw reader.error("truncated");
  }
  return { version: header.version, metadata: header.metadata, tensors: header.tensors };
}

/** Reads little-endian values through a window, so that a file of many gigabytes costs only its header. */
class HeaderReader {
  readonly #file: FileHandle;
  readonly #size: number;
  readonly #path: string;
  #window = Buffer.alloc(0);
  #windowStart = 0;
  position = 0;

  constructor(file: FileHandle, size: number, path: string) {
    this.#file = file;
    this.#size = Math.min(size, MAX_HEADER_BYTES);
    this.#path = path;
  }

  error(reason: string): KaratError {
    return new KaratError("invalid_gguf", "the model file is not a usable GGUF file", { path: this.#path, reason });
  }

  async #take(length: number): Promise<Buffer> {
    if (this.position + length > this.#size) throw this.error("header beyond the end of the file");
    const at = this.position - this.#windowStart;
    if (at < 0 || at + length > this.#window.length) {
      this.#window = Buffer.alloc(Math.min(Math.max(length, 1 << 20), this.#size - this.position));
      this.#windowStart = this.position;
      const { bytesRead } = await this.#file.read(this.#window, 0, this.#window.length, this.position);
      if (bytesRead < length) throw this.error("short read");
    }
    const start = this.position - this.#windowStart;
    this.position += length;
    return this.#window.subarray(start, start + length);
  }

  async u32(): Promise<number> {
    return (await this.#take(4)).readUInt32LE();
  }

  /** A u64 that must be at most `limit`. */
  async count(limit: number): Promise<number> {
    const value = (await this.#take(8)).readBigUInt64LE();
    if (value > BigInt(limit)) throw this.error("count out of range");
    return Number(value);
  }

  async string(): Promise<string> {
    return (await this.#take(await this.count(MAX_HEADER_BYTES))).toString("utf8");
  }

  async value(type: number, depth = 0): Promise<GgufValue> {
    switch (type) {
      case 0:
        return (await this.#take(1)).readUInt8();
      case 1:
        return (await this.#take(1)).readInt8();
      case 2:
        return (await this.#take(2)).readUInt16LE();
      case 3:
        return (await this.#take(2)).readInt16LE();
      case 4:
        return this.u32();
      case 5:
        return (await this.#take(4)).readInt32LE();
      case 6:
        return (await this.#take(4)).readFloatLE();
      case 7:
        return (await this.#take(1)).readUInt8() !== 0;
      case 8:
        return this.string();
      case 9:
        return this.#array(depth);
      case 10:
        return (await this.#take(8)).readBigUInt64LE();
      case 11:
        return (await this.#take(8)).readBigInt64LE();
      case 12:
        return (await this.#take(8)).readDoubleLE();
      default:
        throw this.error(`value type ${type}`);
    }
  }

  async #array(depth: number): Promise<GgufValue[]> {
    if (depth > 1) throw this.error("nested arrays");
    const element = await this.u32();
    const length = await this.count(MAX_ARRAY);
    const values: GgufValue[] = [];
    for (let i = 0; i < length; i++) values.push(await this.value(element, depth + 1));
    return values;
  }
}

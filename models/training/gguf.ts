/** Minimal GGUF v3 writer with f16, q8_0 and q4_0 quantisers (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md). */
import { writeFileSync } from "node:fs";
import type { Tokenizer } from "./tokenizer.ts";

export const TENSOR_TYPE = { f32: 0, f16: 1, q4_0: 2, q8_0: 8 } as const;
export type TensorType = keyof typeof TENSOR_TYPE;
/** `general.file_type` for a file whose matrices have this type. */
const FILE_TYPE: Record<TensorType, number> = { f32: 0, f16: 1, q4_0: 2, q8_0: 7 };

const VALUE_TYPE = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9 } as const;
const BLOCK = 32;
const ALIGNMENT = 32;

export type Value =
  | { type: "u32" | "f32"; value: number }
  | { type: "string"; value: string }
  | { type: "bool"; value: boolean }
  | { type: "array"; element: "string"; value: readonly string[] }
  | { type: "array"; element: "i32"; value: readonly number[] };

export interface Tensor {
  name: string;
  /** Row-major: [rows, columns] or [length]. */
  shape: readonly number[];
  data: Float32Array;
}

export interface Hyperparameters {
  d: number;
  layers: number;
  heads: number;
  kv: number;
  ff: number;
  vocab: number;
  ctx: number;
}

/** Vectors (norms) stay f32, as llama.cpp expects; matrices get `type`. */
export function writeGguf(
  path: string,
  metadata: Readonly<Record<string, Value>>,
  tensors: readonly Tensor[],
  type: TensorType,
): void {
  const out = new Writer();
  out.raw(Buffer.from("GGUF"));
  out.u32(3);
  out.u64(tensors.length);
  out.u64(Object.keys(metadata).length);
  for (const [key, value] of Object.entries(metadata)) {
    out.string(key);
    out.u32(VALUE_TYPE[value.type]);
    out.value(value);
  }
  let offset = 0;
  const payloads = tensors.map((tensor) => {
    const stored: TensorType = tensor.shape.length === 1 ? "f32" : type;
    const bytes = quantize(tensor.data, stored);
    out.string(tensor.name);
    out.u32(tensor.shape.length);
    for (const dimension of tensor.shape.toReversed()) out.u64(dimension); // fastest first
    out.u32(TENSOR_TYPE[stored]);
    out.u64(offset);
    offset += bytes.length + padding(bytes.length);
    return bytes;
  });
  out.raw(Buffer.alloc(padding(out.length)));
  for (const bytes of payloads) {
    out.raw(bytes);
    out.raw(Buffer.alloc(padding(bytes.length)));
  }
  writeFileSync(path, out.bytes());
}

const padding = (length: number): number => (ALIGNMENT - (length % ALIGNMENT)) % ALIGNMENT;

const CHAT_TEMPLATE =
  "{{ bos_token }}{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] + '<|end|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}";

export function llamaMetadata(
  h: Hyperparameters,
  tokenizer: Tokenizer,
  name: string,
  type: TensorType,
): Record<string, Value> {
  const { tokens, merges, types } = tokenizer.ggufTables();
  const u32 = (value: number): Value => ({ type: "u32", value });
  const f32 = (value: number): Value => ({ type: "f32", value });
  const string = (value: string): Value => ({ type: "string", value });
  const bool = (value: boolean): Value => ({ type: "bool", value });
  const id = (token: string): Value => u32(tokens.indexOf(token));
  return {
    "general.architecture": string("llama"),
    "general.name": string(name),
    "general.file_type": u32(FILE_TYPE[type]),
    "general.quantization_version": u32(2),
    "llama.context_length": u32(h.ctx),
    "llama.embedding_length": u32(h.d),
    "llama.block_count": u32(h.layers),
    "llama.feed_forward_length": u32(h.ff),
    "llama.attention.head_count": u32(h.heads),
    "llama.attention.head_count_kv": u32(h.kv),
    "llama.attention.layer_norm_rms_epsilon": f32(1e-5),
    "llama.rope.dimension_count": u32(h.d / h.heads),
    "llama.rope.freq_base": f32(10000),
    "llama.vocab_size": u32(h.vocab),
    "tokenizer.ggml.model": string("gpt2"),
    "tokenizer.ggml.pre": string("gpt-2"),
    "tokenizer.ggml.tokens": { type: "array", element: "string", value: tokens },
    "tokenizer.ggml.token_type": { type: "array", element: "i32", value: types },
    "tokenizer.ggml.merges": { type: "array", element: "string", value: merges },
    "tokenizer.ggml.bos_token_id": id("<|endoftext|>"),
    "tokenizer.ggml.eos_token_id": id("<|end|>"),
    "tokenizer.ggml.eot_token_id": id("<|end|>"),
    "tokenizer.ggml.padding_token_id": id("<|endoftext|>"),
    "tokenizer.ggml.add_bos_token": bool(false),
    "tokenizer.ggml.add_eos_token": bool(false),
    "tokenizer.chat_template": string(CHAT_TEMPLATE),
  };
}

class Writer {
  readonly #pieces: Buffer[] = [];
  length = 0;

  raw(bytes: Buffer): void {
    this.#pieces.push(bytes);
    this.length += bytes.length;
  }

  bytes(): Buffer {
    return Buffer.concat(this.#pieces);
  }

  u32(value: number): void {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    this.raw(bytes);
  }

  i32(value: number): void {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32LE(value);
    this.raw(bytes);
  }

  f32(value: number): void {
    const bytes = Buffer.alloc(4);
    bytes.writeFloatLE(value);
    this.raw(bytes);
  }

  u64(value: number): void {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(BigInt(value));
    this.raw(bytes);
  }

  string(text: string): void {
    const bytes = Buffer.from(text, "utf8");
    this.u64(bytes.length);
    this.raw(bytes);
  }

  value(value: Value): void {
    switch (value.type) {
      case "u32":
        return this.u32(value.value);
      case "f32":
        return this.f32(value.value);
      case "string":
        return this.string(value.value);
      case "bool":
        return this.raw(Buffer.from([Number(value.value)]));
      case "array":
        this.u32(VALUE_TYPE[value.element]);
        this.u64(value.value.length);
        if (value.element === "string") for (const item of value.value) this.string(item);
        else for (const item of value.value) this.i32(item);
    }
  }
}

export function quantize(data: Float32Array, type: TensorType): Buffer {
  switch (type) {
    case "f32":
      return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    case "f16":
      return Buffer.from(Uint16Array.from(data, toHalf).buffer);
    case "q8_0":
      return blocks(data, 34, q8Block);
    case "q4_0":
      return blocks(data, 18, q4Block);
  }
}

function blocks(data: Float32Array, size: number, encode: (block: Float32Array, out: Buffer) => void): Buffer {
  if (data.length % BLOCK !== 0) throw new RangeError("rows must be a multiple of 32");
  const out = Buffer.alloc((data.length / BLOCK) * size);
  for (let b = 0; b < data.length / BLOCK; b++) {
    encode(data.subarray(b * BLOCK, (b + 1) * BLOCK), out.subarray(b * size, (b + 1) * size));
  }
  return out;
}

/** ggml's quantize_row_q8_0_ref: scale = max|x| / 127, rounded half away from zero. */
function q8Block(block: Float32Array, out: Buffer): void {
  const scale = Math.max(...block.map(Math.abs)) / 127;
  const inverse = scale ? 1 / scale : 0;
  out.writeUInt16LE(toHalf(scale), 0);
  block.forEach((x, i) => {
    const value = x * inverse;
    out.writeInt8(value < 0 ? -Math.round(-value) : Math.round(value), 2 + i);
  });
}

/** ggml's quantize_row_q4_0_ref: scale = (value of largest magnitude) / −8; halves of the block share a byte. */
function q4Block(block: Float32Array, out: Buffer): void {
  let extreme = 0;
  for (const x of block) if (Math.abs(x) > Math.abs(extreme)) extreme = x;
  const scale = extreme / -8;
  const inverse = scale ? 1 / scale : 0;
  const code = (x: number): number => Math.min(15, Math.trunc(x * inverse + 8.5));
  out.writeUInt16LE(toHalf(scale), 0);
  for (let i = 0; i < BLOCK / 2; i++) out[2 + i] = code(block[i]!) | (code(block[BLOCK / 2 + i]!) << 4);
}

const single = new Float32Array(1);
const singleBits = new Uint32Array(single.buffer);

/** IEEE 754 binary16 bits of a number, rounded to nearest, ties to even. */
export function toHalf(x: number): number {
  single[0] = x;
  const bits = singleBits[0]!;
  const sign = (bits >>> 16) & 0x8000;
  const exponent = (bits >>> 23) & 255;
  let mantissa = bits & 0x7fffff;
  if (exponent === 255) return sign | 0x7c00 | (mantissa ? 0x200 : 0);
  const half = exponent - 112;
  if (half >= 31) return sign | 0x7c00;
  if (half <= 0) {
    if (half < -10) return sign;
    mantissa |= 0x800000;
    return sign | roundShift(mantissa, 14 - half);
  }
  return sign | ((half << 10) + roundShift(mantissa, 13));
}

function roundShift(value: number, shift: number): number {
  const quotient = value >>> shift;
  const remainder = value & ((1 << shift) - 1);
  const middle = 1 << (shift - 1);
  return remainder > middle || (remainder === middle && quotient & 1) ? quotient + 1 : quotient;
}

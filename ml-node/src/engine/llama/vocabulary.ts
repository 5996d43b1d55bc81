/** Bytes of each token, from the tokenizer tables in a GGUF header. */
import { KaratError } from "@karat/common";
import type { Vocabulary } from "../engine.ts";
import type { GgufHeader } from "./gguf.ts";

/** `tokenizer.ggml.token_type`, as llama.cpp numbers it. */
const TYPE = { unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

/**
 * Byte-level BPE ("gpt2") and SentencePiece-style ("llama") tokenizers; a KaratError `unsupported_tokenizer` {tokenizer} for others.
 * `stopTokenIds` come from the engine, which knows every end-of-generation token.
 */
export function vocabularyOf(header: GgufHeader, stopTokenIds: readonly number[]): Vocabulary {
  const tokenizer = header.metadata.get("tokenizer.ggml.model");
  const tokens = header.metadata.get("tokenizer.ggml.tokens");
  const types = header.metadata.get("tokenizer.ggml.token_type");
  const decode = tokenizer === "gpt2" ? byteLevel() : tokenizer === "llama" ? sentencePiece : undefined;
  if (!decode || !Array.isArray(tokens)) {
    throw new KaratError("unsupported_tokenizer", "the model's tokenizer is not supported", { tokenizer });
  }
  const typeOf = (id: number): number => Number(Array.isArray(types) ? (types[id] ?? 1) : 1);
  const silent = (id: number): boolean => {
    const type = typeOf(id);
    return type === TYPE.control || type === TYPE.unknown || type === TYPE.unused;
  };
  const cache = new Map<number, Uint8Array>();
  const bytesOf = (id: number): Uint8Array => {
    const known = cache.get(id);
    if (known) return known;
    const token = tokens[id];
    if (typeof token !== "string") throw new RangeError(`token ${id} is outside the vocabulary`);
    const bytes = silent(id)
      ? new Uint8Array()
      : typeOf(id) === TYPE.userDefined
        ? new TextEncoder().encode(token)
        : decode(token);
    cache.set(id, bytes); // bounded by the size of the vocabulary
    return bytes;
  };
  let longest = 1;
  for (let id = 0; id < tokens.length; id++) longest = Math.max(longest, bytesOf(id).length);
  return {
    size: tokens.length,
    longest,
    stopTokenIds: [...stopTokenIds].sort((a, b) => a - b),
    bytesOf,
    nameOf: (id) => (silent(id) ? String(tokens[id]) : Buffer.from(bytesOf(id)).toString("utf8")),
  };
}

/** GPT-2's reversible map: each byte is written as one printable character. */
export function byteLevel(): (token: string) => Uint8Array {
  const byteOf = new Map<string, number>();
  let next = 256;
  for (let byte = 0; byte < 256; byte++) {
    const printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    byteOf.set(String.fromCodePoint(printable ? byte : next++), byte);
  }
  return (token) => {
    const bytes: number[] = [];
    for (const character of token) {
      const byte = byteOf.get(character);
      if (byte !== undefined) bytes.push(byte);
      else bytes.push(...new TextEncoder().encode(character));
    }
    return Uint8Array.from(bytes);
  };
}

/** SentencePiece: "<0x0A>" is one byte, "▁" is a space. */
export function sentencePiece(token: string): Uint8Array {
  const byte = /^<0x([0-9A-Fa-f]{2})>$/.exec(token)?.[1];
  return byte === undefined
    ? new TextEncoder().encode(token.replaceAll("▁", " "))
    : Uint8Array.of(Number.parseInt(byte, 16));
}

/** What the node must know of a model that a server holds: its identity, its tokens, its chat template. From a GGUF file or a Hugging Face folder. */
import { createHash } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { KaratError } from "@karat/common";
import { z } from "zod";
import type { Vocabulary } from "../engine.ts";
import { type GgufHeader, quantizationOf, readGgufHeader } from "../llama/gguf.ts";
import { byteLevel, sentencePiece, vocabularyOf } from "../llama/vocabulary.ts";
import { sha256OfFile } from "../modelHash.ts";

export interface ModelFiles {
  readonly weightsSha256: string;
  readonly quantization: string;
  readonly vocabulary: Vocabulary;
  readonly chatTemplate: string;
  /** Texts that the template may write for the tokens that begin and end a sequence. */
  readonly bosToken: string;
  readonly eosToken: string;
  /** Put before a plain text, where the model wants one. */
  readonly bosTokenId: number | undefined;
}

/** Control tokens by which models end an answer, beside those that the file names. */
const ENDINGS: ReadonlySet<string> = new Set(
  "<|eot_id|> <|im_end|> <|end|> <|return|> <|call|> <end_of_turn> <|endoftext|> <|eom_id|> <EOT> <|end_of_text|> <eos> </s>".split(
    " ",
  ),
);

/** Throws `invalid_gguf`, `unsupported_tokenizer`, or `invalid_model_files` {path, reason}. */
export async function readModelFiles(path: string, weightsSha256?: string): Promise<ModelFiles> {
  const kind = await stat(path).catch((cause: unknown) => {
    throw invalid(path, "it cannot be read", cause);
  });
  return kind.isDirectory() ? fromFolder(path, weightsSha256) : fromGguf(path, weightsSha256);
}

async function fromGguf(path: string, given: string | undefined): Promise<ModelFiles> {
  const header = await readGgufHeader(path);
  const { metadata } = header;
  const tokens = metadata.get("tokenizer.ggml.tokens") as string[];
  const idOf = (key: string): number | undefined => {
    const id = metadata.get(`tokenizer.ggml.${key}`);
    return typeof id === "number" && id < tokens.length ? id : undefined;
  };
  const template = metadata.get("tokenizer.chat_template");
  if (typeof template !== "string") throw invalid(path, "it has no chat template");
  const bos = idOf("bos_token_id");
  const named = [idOf("eos_token_id"), idOf("eot_token_id"), idOf("eom_token_id")].filter((id) => id !== undefined);
  return {
    weightsSha256: given ?? (await sha256OfFile(path)),
    quantization: quantizationOf(header),
    vocabulary: vocabularyOf(header, endings(header, tokens, named)),
    chatTemplate: template,
    bosToken: bos === undefined ? "" : tokens[bos]!,
    eosToken: tokens[idOf("eos_token_id") ?? -1] ?? "",
    bosTokenId: metadata.get("tokenizer.ggml.add_bos_token") === true ? bos : undefined,
  };
}

function endings(header: GgufHeader, tokens: readonly string[], named: readonly number[]): number[] {
  const types = header.metadata.get("tokenizer.ggml.token_type");
  const isControl = (id: number): boolean => !Array.isArray(types) || types[id] === 3;
  const wellKnown = tokens.flatMap((token, id) => (ENDINGS.has(token) && isControl(id) ? [id] : []));
  return [...new Set([...named, ...wellKnown])];
}

const TokenizerJson = z.object({
  model: z.object({ vocab: z.record(z.string(), z.number().int().nonnegative()) }),
  added_tokens: z.array(z.object({ id: z.number().int(), content: z.string(), special: z.boolean() })).default([]),
  decoder: z.unknown(),
});
const Name = z.union([z.string(), z.object({ content: z.string() }).transform(({ content }) => content)]).nullish();
const TokenizerConfig = z.object({
  chat_template: z.string().optional(),
  bos_token: Name,
  eos_token: Name,
  add_bos_token: z.boolean().optional(),
});
const GenerationConfig = z.object({ eos_token_id: z.union([z.number(), z.array(z.number())]).optional() });
const ModelConfig = z.object({
  torch_dtype: z.string().optional(),
  dtype: z.string().optional(),
  quantization_config: z.object({ quant_method: z.string() }).optional(),
});

async function fromFolder(path: string, given: string | undefined): Promise<ModelFiles> {
  const read = async <T>(name: string, schema: z.ZodType<T>): Promise<T> => {
    try {
      return schema.parse(JSON.parse(await readFile(join(path, name), "utf8")));
    } catch (cause) {
      throw invalid(join(path, name), "it is missing or not what Hugging Face writes", cause);
    }
  };
  const tokenizer = await read("tokenizer.json", TokenizerJson);
  const settings = await read("tokenizer_config.json", TokenizerConfig);
  const config = await read("config.json", ModelConfig);
  const generation = await read("generation_config.json", GenerationConfig).catch(() => ({ eos_token_id: undefined }));
  const template =
    settings.chat_template ?? (await readFile(join(path, "chat_template.jinja"), "utf8").catch(() => undefined));
  if (template === undefined) throw invalid(path, "it has no chat template");

  const tokens: string[] = [];
  for (const [token, id] of Object.entries(tokenizer.model.vocab)) tokens[id] = token;
  const control = new Set<number>();
  const verbatim = new Set<number>();
  for (const { id, content, special } of tokenizer.added_tokens) {
    tokens[id] = content;
    (special ? control : verbatim).add(id);
  }
  const named = [generation.eos_token_id ?? [], tokens.indexOf(settings.eos_token ?? "\0")].flat();
  const wellKnown = [...control].filter((id) => ENDINGS.has(tokens[id]!));
  const stopTokenIds = [...new Set([...named, ...wellKnown])].filter((id) => id >= 0).sort((a, b) => a - b);
  const decode = JSON.stringify(tokenizer.decoder ?? null).includes("ByteLevel") ? byteLevel() : sentencePiece;
  const bytesOf = (id: number): Uint8Array => {
    const token = tokens[id];
    if (token === undefined) throw new RangeError(`token ${id} is outside the vocabulary`);
    return control.has(id) ? new Uint8Array() : verbatim.has(id) ? Buffer.from(token) : decode(token);
  };
  const bos = tokens.indexOf(settings.bos_token ?? "\0");
  return {
    weightsSha256: given ?? (await sha256OfWeights(path)),
    quantization: config.quantization_config?.quant_method ?? config.dtype ?? config.torch_dtype ?? "unknown",
    vocabulary: {
      size: tokens.length,
      longest: Math.max(1, ...lengths(tokens, bytesOf)),
      stopTokenIds,
      bytesOf,
      nameOf: (id) => (control.has(id) ? tokens[id]! : Buffer.from(bytesOf(id)).toString("utf8")),
    },
    chatTemplate: template,
    bosToken: settings.bos_token ?? "",
    eosToken: settings.eos_token ?? "",
    bosTokenId: settings.add_bos_token && bos >= 0 ? bos : undefined,
  };
}

/** The greatest length of every thousand tokens: a spread of a whole vocabulary is too many arguments. */
function lengths(tokens: readonly string[], bytesOf: (id: number) => Uint8Array): number[] {
  const most: number[] = [];
  for (let id = 0; id < tokens.length; id++) {
    const slot = id >> 10;
    if (tokens[id] !== undefined) most[slot] = Math.max(most[slot] ?? 0, bytesOf(id).length);
  }
  return most.filter((length) => length !== undefined);
}

/** SHA-256 over the lines `<sha256>  <name>` of the `.safetensors` files, by name, as `sha256sum *.safetensors | sha256sum` computes it. */
async function sha256OfWeights(path: string): Promise<string> {
  const names = (await readdir(path)).filter((name) => name.endsWith(".safetensors")).sort();
  if (names.length === 0) throw invalid(path, "it has no .safetensors files: give --weights-sha256");
  const hash = createHash("sha256");
  for (const name of names) hash.update(`${await sha256OfFile(join(path, name))}  ${name}\n`);
  return hash.digest("hex");
}

const invalid = (path: string, reason: string, cause?: unknown): KaratError =>
  new KaratError("invalid_model_files", "the model's files cannot be used", { path, reason }, cause);

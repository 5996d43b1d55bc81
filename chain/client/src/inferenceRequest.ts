/** What a body of an OpenAI endpoint asks for: the node that answers and the client that compares read it alike. */
import { isKaratError, KaratError } from "@karat/common";
import {
  type EmbeddingFormat,
  embeddingFormat,
  refuseUnsupported,
  type StreamRequest,
  streamRequest,
} from "@karat/common/openai";
import { chatOfResponses, isRuleError, type SanitizedRequest, sanitizeEmbedding, sanitizeRequest } from "@karat/rules";

/** The endpoint: chat completions, completions, responses, embeddings. */
export type RequestKind = "chat" | "text" | "responses" | "embeddings";

/** The inference that is asked for, and how its answer is wanted. */
export interface InferenceRequest extends StreamRequest {
  readonly sanitized: SanitizedRequest;
  /** Of an embedding, which is never streamed. */
  readonly vectors?: EmbeddingFormat;
}

/** The fields of a body. Throws KaratError `invalid_json`, or `invalid_request` where it is no object. */
export function parseRequest(body: Uint8Array): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch {
    throw new KaratError("invalid_json", "The body is not valid JSON.");
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new KaratError("invalid_request", "body: must be an object", { param: "body" });
}

/** Throws `invalid_request` with `param`, as KaratError or RuleError, for what is malformed, and for what is known and not offered. */
export function readRequest(kind: RequestKind, fields: Readonly<Record<string, unknown>>): InferenceRequest {
  if (kind === "responses") return readResponses(fields);
  if (kind === "embeddings") return readEmbedding(fields);
  // Each endpoint has its own way to give the input; the other one's field is not a field there.
  const { messages, prompt, input: _, ...rest } = fields;
  return inferenceOf(kind === "chat" ? { ...rest, messages } : { ...rest, prompt });
}

function readResponses(fields: Readonly<Record<string, unknown>>): InferenceRequest {
  try {
    return inferenceOf(chatOfResponses(fields));
  } catch (error) {
    if (!isRuleError(error) && !isKaratError(error, "invalid_request")) throw error;
    const param = paramOfResponses(isRuleError(error) ? error.param : String(error.data.param));
    throw new KaratError("invalid_request", error.message, { param }, error);
  }
}

function readEmbedding(fields: Readonly<Record<string, unknown>>): InferenceRequest {
  if ((fields.stream ?? false) !== false) {
    throw new KaratError("invalid_request", "stream: embeddings come in one piece", { param: "stream" });
  }
  return { sanitized: sanitizeEmbedding(fields), vectors: embeddingFormat(fields), stream: false, includeUsage: false };
}

function inferenceOf(fields: Readonly<Record<string, unknown>>): InferenceRequest {
  refuseUnsupported(fields);
  return { sanitized: sanitizeRequest(fields), ...streamRequest(fields) };
}

/** The field of the response's request that a field of the chat stands for. */
const paramOfResponses = (param: string): string =>
  param
    .replace(/^messages\[\d+\]/, "input")
    .replace(/^messages$/, "input")
    .replace(/^max_tokens$/, "max_output_tokens")
    .replace(/^response_format\.json_schema/, "text.format")
    .replace(/^response_format/, "text.format")
    .replace(/^(tools\[\d+\]|tool_choice)\.function/, "$1");

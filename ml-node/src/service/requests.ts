/** Reading of request bodies. The OpenAI half is the rules' own reading, so that every party understands a request alike. */
import { fromHex, KaratError } from "@karat/common";
import {
  type Constraint,
  constraintOf,
  type SamplingParams,
  type SanitizedRequest,
  samplingOf,
  sanitizeEmbedding,
  sanitizeRequest,
  validateSampling,
} from "@karat/rules";
import type { PromptInput } from "../engine/engine.ts";
import { chatOf } from "./toolPrompt.ts";

export interface KaratRequest {
  model: string;
  input: PromptInput;
  maxTokens?: number;
  stop: readonly string[];
  constraint?: Constraint;
  sampling: SamplingParams;
  /** 32 bytes. */
  seed: Uint8Array;
  /** 32 bytes. */
  inferenceId: Uint8Array;
}

/** The fields that /generate and /score share. Throws `invalid_request` or `invalid_sampling` with `param`. */
export function readKaratRequest(body: unknown): KaratRequest {
  const fields = record(body);
  const request = readAnswerable(fields);
  const sampling =
    fields.sampling === undefined
      ? samplingOf(request)
      : validateSampling(record(fields.sampling, "sampling") as never);
  return {
    model: request.model,
    input: inputOf(request),
    ...(request.max_tokens === undefined ? {} : { maxTokens: request.max_tokens }),
    stop: request.stop ?? [],
    ...constraintField(request),
    sampling,
    seed: hex32(fields, "seed"),
    inferenceId: hex32(fields, "inference_id"),
  };
}

/** As the rules tell one: whatever has messages or a prompt is none. */
export const isEmbedding = ({ messages, prompt, input }: Readonly<Record<string, unknown>>): boolean =>
  (messages ?? undefined) === undefined && (prompt ?? undefined) === undefined && (input ?? undefined) !== undefined;

/** The texts of a body whose vectors are asked for. Throws `invalid_request`, also where the answer shall not have a token for each. */
export function readTexts(fields: Readonly<Record<string, unknown>>): readonly string[] {
  const { input } = sanitizeEmbedding({ model: "any", input: fields.input });
  if ((fields.max_tokens ?? input.length) !== input.length) throw invalid("max_tokens", "one for each input");
  return input;
}

/** The fields of a body that decide prompt, length and which tokens may be chosen; how they are sampled is signed beside them. */
export function readAnswerable(fields: Readonly<Record<string, unknown>>): SanitizedRequest {
  const { model, messages, prompt, max_tokens, stop } = fields;
  const { response_format, tools, tool_choice, parallel_tool_calls, logit_bias } = fields;
  const constraint = { response_format, tools, tool_choice, parallel_tool_calls, logit_bias };
  return sanitizeRequest({ model, messages, prompt, max_tokens, stop, ...constraint });
}

/** Messages (with tools) or prompt of a body that need hold nothing else (tokenize). */
export const readPrompt = (body: unknown): PromptInput => inputOf(readAnswerable({ ...record(body), model: "any" }));

export const inputOf = (request: SanitizedRequest): PromptInput =>
  request.messages ? { messages: chatOf(request.messages, request.tools) } : { prompt: request.prompt ?? "" };

/** The constraint as a field that is absent where there is none. */
export function constraintField(request: SanitizedRequest): { constraint?: Constraint } {
  const constraint = constraintOf(request);
  return constraint ? { constraint } : {};
}

export function record(value: unknown, param = "body"): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw invalid(param, "must be an object");
}

/** An integer field, or its default where it is absent. */
export function integerField(
  fields: Readonly<Record<string, unknown>>,
  param: string,
  least: number,
  most: number,
  otherwise: number,
): number {
  const value = fields[param] ?? otherwise;
  if (typeof value === "number" && Number.isInteger(value) && value >= least && value <= most) return value;
  throw invalid(param, `must be an integer from ${least} to ${most}`);
}

/** A boolean field, or its default where it is absent. */
export function booleanField(fields: Readonly<Record<string, unknown>>, param: string, otherwise: boolean): boolean {
  const value = fields[param] ?? otherwise;
  if (typeof value === "boolean") return value;
  throw invalid(param, "must be true or false");
}

/** Token ids, or none where the field is absent. */
export function idsField(fields: Readonly<Record<string, unknown>>, param: string): readonly number[] {
  const value = fields[param] ?? [];
  const valid = Array.isArray(value) && value.every((id) => Number.isSafeInteger(id) && id >= 0);
  if (!valid) throw invalid(param, "must be a list of token ids");
  return value;
}

export function hex32(fields: Readonly<Record<string, unknown>>, param: string): Uint8Array {
  const value = fields[param];
  if (typeof value !== "string" || !/^[0-9a-fA-F]{64}$/.test(value)) throw invalid(param, "must be 32 bytes in hex");
  return fromHex(value);
}

export const invalid = (param: string, problem: string): KaratError =>
  new KaratError("invalid_request", `${param}: ${problem}`, { param });

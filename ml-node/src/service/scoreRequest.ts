/** Reading of score requests. What the caller is answerable for is refused; what the executor is answerable for fails the check. */
import { isKaratError } from "@karat/common";
import { type Constraint, isRuleError, type SamplingParams, validateSampling } from "@karat/rules";
import type { PromptInput } from "../engine/engine.ts";
import type { FinishReason } from "./answer.ts";
import {
  constraintField,
  hex32,
  idsField,
  inputOf,
  invalid,
  isEmbedding,
  readAnswerable,
  readTexts,
  record,
} from "./requests.ts";

/** What the executor delivered, as far as it can be read at all: what a validator sees before its commitment. */
export interface DeliveredOutput {
  tokenIds: readonly number[];
  finishReason: FinishReason;
  outputHash: Uint8Array;
  promptHash: Uint8Array;
  /** What it is paid for reading; a prefix counts. */
  promptTokens: number;
}

/** And after it. */
export interface Delivered extends DeliveredOutput {
  artifact: Uint8Array;
  artifactRoot: Uint8Array;
}

export interface AskedText {
  input: PromptInput;
  maxTokens: number | undefined;
  stop: readonly string[];
  constraint?: Constraint;
}

/** The client's request: for an answer, or for the vectors of texts; `malformed` where no engine could have answered it. */
export type Asked = AskedText | { texts: readonly string[] } | { malformed: string };

/** A request for the validator's own view, without the artifact. */
export interface PrefillRequest {
  model: string;
  sampling: SamplingParams;
  /** 32 bytes. */
  seed: Uint8Array;
  /** 32 bytes. */
  inferenceId: Uint8Array;
  asked: Asked;
  /** Output tokens before the delivered ones, which another executor gave; none for an answer from its beginning. */
  prefixIds: readonly number[];
  delivered: DeliveredOutput | { malformed: string };
  /** Further outputs of the same executor and model, to be judged as one with this. */
  pooled: readonly PrefillRequest[];
}

export interface ScoreRequest extends PrefillRequest {
  delivered: Delivered | { malformed: string };
  pooled: readonly ScoreRequest[];
  /** Whether the answer lists what is seen at each position. */
  detail?: boolean;
}

/** As many as the chain judges together. */
const MAX_POOLED = 32;
const FINISH_REASONS: ReadonlySet<unknown> = new Set<FinishReason>(["stop", "length", "stop_sequence", "cancelled"]);

/** Throws `invalid_request` or `invalid_sampling` with `param` for what the scorer's caller got wrong. */
export function readScoreRequest(body: unknown): ScoreRequest {
  const fields = record(body);
  return {
    ...readAskedFields(fields),
    delivered: readDelivered(fields),
    pooled: pooledOf(fields).map(readScoreRequest),
    detail: fields.detail === true,
  };
}

/** The same without artifact and root. */
export function readPrefillRequest(body: unknown): PrefillRequest {
  const fields = record(body);
  return {
    ...readAskedFields(fields),
    delivered: readOutput(fields),
    pooled: pooledOf(fields).map(readPrefillRequest),
  };
}

function pooledOf({ pooled = [] }: Record<string, unknown>): readonly unknown[] {
  if (!Array.isArray(pooled) || pooled.length > MAX_POOLED) throw invalid("pooled", `at most ${MAX_POOLED} requests`);
  if (pooled.some((each) => "pooled" in record(each, "pooled"))) throw invalid("pooled", "one level only");
  return pooled;
}

function readAskedFields(fields: Record<string, unknown>): Omit<PrefillRequest, "delivered" | "pooled"> {
  if (typeof fields.model !== "string") throw invalid("model", "must be a string");
  return {
    model: fields.model,
    sampling: validateSampling(record(fields.sampling, "sampling") as unknown as SamplingParams),
    seed: hex32(fields, "seed"),
    inferenceId: hex32(fields, "inference_id"),
    asked: readAsked(fields),
    prefixIds: idsField(fields, "prefix_token_ids"),
  };
}

function readAsked(fields: Record<string, unknown>): Asked {
  try {
    if (isEmbedding(fields)) return { texts: readTexts(fields) };
    const request = readAnswerable(fields);
    const { max_tokens: maxTokens, stop = [] } = request;
    return { input: inputOf(request), maxTokens, stop, ...constraintField(request) };
  } catch (error) {
    if (isRuleError(error)) return { malformed: error.param };
    if (isKaratError(error, "invalid_request")) return { malformed: String(error.data.param) };
    throw error;
  }
}

function readDelivered(fields: Record<string, unknown>): Delivered | { malformed: string } {
  const output = readOutput(fields);
  if ("malformed" in output) return output;
  const { artifact } = fields;
  if (typeof artifact !== "string" || !/^[A-Za-z0-9+/]*={0,2}$/.test(artifact)) return { malformed: "artifact" };
  try {
    const artifactRoot = hex32(fields, "artifact_root");
    return { ...output, artifact: Uint8Array.from(Buffer.from(artifact, "base64")), artifactRoot };
  } catch (error) {
    if (isKaratError(error)) return { malformed: String(error.data.param) };
    throw error;
  }
}

function readOutput(fields: Record<string, unknown>): DeliveredOutput | { malformed: string } {
  const { token_ids, finish_reason, prompt_tokens } = fields;
  if (!Array.isArray(token_ids) || !token_ids.every((id) => Number.isSafeInteger(id) && id >= 0)) {
    return { malformed: "token_ids" };
  }
  if (!FINISH_REASONS.has(finish_reason)) return { malformed: "finish_reason" };
  if (!Number.isSafeInteger(prompt_tokens)) return { malformed: "prompt_tokens" };
  try {
    return {
      tokenIds: token_ids,
      finishReason: finish_reason as FinishReason,
      outputHash: hex32(fields, "output_hash"),
      promptHash: hex32(fields, "prompt_hash"),
      promptTokens: prompt_tokens as number,
    };
  } catch (error) {
    if (isKaratError(error)) return { malformed: String(error.data.param) };
    throw error;
  }
}

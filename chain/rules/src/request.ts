import { canonicalJson } from "./canonicalJson.ts";
import { type Fields, fieldsOf, present, refuse } from "./fields.ts";
import { type Constraint, readConstraint } from "./grammar/constraint.ts";
import { sha256, utf8 } from "./hash.ts";
import { DEFAULT_SAMPLING, MAX_TOP_K, type SamplingParams, toMicros } from "./samplingParams.ts";

/** A call that an assistant's turn made. */
export interface ToolCall {
  readonly id: string;
  readonly type: "function";
  /** `arguments` is JSON text. */
  readonly function: { readonly name: string; readonly arguments: string };
}

export type Role = "system" | "developer" | "user" | "assistant" | "tool";

/** One message of a chat; text parts are joined by a line feed, as vLLM and llama-server do. */
export interface ChatMessage {
  readonly role: Role;
  readonly content: string | null;
  readonly name?: string;
  readonly tool_call_id?: string;
  readonly tool_calls?: readonly ToolCall[];
}

/**
 * The part of an OpenAI request that defines the inference; everything else (stream, user, metadata …) is transport.
 * Absent fields stay absent, so that a client and its API node hash the same bytes.
 */
export interface SanitizedRequest extends Constraint {
  readonly model: string;
  readonly messages?: readonly ChatMessage[];
  readonly prompt?: string;
  /** Of an embedding: the texts whose vectors are asked for. */
  readonly input?: readonly string[];
  readonly max_tokens?: number;
  readonly temperature?: number;
  readonly top_p?: number;
  /** 1..64; absent means the network's 64. */
  readonly top_k?: number;
  readonly min_p?: number;
  readonly frequency_penalty?: number;
  readonly presence_penalty?: number;
  readonly stop?: readonly string[];
  readonly seed?: number;
  /** Chat: true or false. Completions: how many alternatives, 0..20. */
  readonly logprobs?: boolean | number;
  readonly top_logprobs?: number;
}

/** Bounds on what a request may carry; the HTTP body limit stands before them. */
export const REQUEST_LIMITS = {
  messages: 2048,
  contentParts: 256,
  stopSequences: 4,
  stopLength: 256,
  modelLength: 256,
  nameLength: 256,
  toolCalls: 128,
  inputs: 2048,
  topLogprobs: 20,
  maxTokens: 1_048_576,
} as const;

const ROLES: ReadonlySet<unknown> = new Set<Role>(["system", "developer", "user", "assistant", "tool"]);

/**
 * The canonical subset of an OpenAI chat-completions (`messages`), completions (`prompt`) or embeddings (`input`) body. Unknown fields are
 * dropped; null means absent. Throws RuleError `invalid_request` with `param` on a known field of wrong type or range.
 */
export function sanitizeRequest(body: unknown): SanitizedRequest {
  const fields = fieldsOf(body, "body");
  const chat = present(fields.messages);
  if (!chat && !present(fields.prompt) && present(fields.input)) return sanitizeEmbedding(fields);
  if (chat === present(fields.prompt)) throw refuse(chat ? "prompt" : "messages", "exactly one of messages and prompt");
  // One answer per request is the unit that is drawn, priced and checked.
  if (present(fields.n) && fields.n !== 1) throw refuse("n", "only n = 1 is offered", fields.n);
  if (!chat && present(fields.echo) && fields.echo !== false) throw refuse("echo", "not offered");
  const best = fields.best_of;
  if (!chat && present(best) && best !== 1) throw refuse("best_of", "only 1 is offered", best);

  return dropAbsent({
    model: text(fields.model, "model", 1, REQUEST_LIMITS.modelLength),
    messages: chat ? messages(fields.messages) : undefined,
    prompt: chat ? undefined : prompt(fields.prompt),
    max_tokens: maxTokens(fields),
    temperature: number(fields.temperature, "temperature", 0, 2),
    top_p: number(fields.top_p, "top_p", 0, 1),
    top_k: topK(fields.top_k),
    min_p: number(fields.min_p, "min_p", 0, 1),
    frequency_penalty: number(fields.frequency_penalty, "frequency_penalty", -2, 2),
    presence_penalty: number(fields.presence_penalty, "presence_penalty", -2, 2),
    stop: stop(fields.stop),
    seed: integer(fields.seed, "seed", Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER),
    ...(chat ? chatLogprobs(fields) : completionLogprobs(fields)),
    ...readConstraint(fields, chat),
  });
}

/** Throws as `sanitizeRequest`, also where no `input` is there. */
export function sanitizeEmbedding(body: unknown): SanitizedRequest & { readonly input: readonly string[] } {
  const fields = fieldsOf(body, "body");
  const given = Array.isArray(fields.input) ? fields.input : [fields.input];
  if (given.length === 0 || given.length > REQUEST_LIMITS.inputs) {
    throw refuse("input", `1 to ${REQUEST_LIMITS.inputs} texts`, given.length);
  }
  // Token ids, which the OpenAI API takes too, are bound to a tokeniser.
  const input = given.map((each) => text(each, "input", 1, Number.POSITIVE_INFINITY));
  return { model: text(fields.model, "model", 1, REQUEST_LIMITS.modelLength), input };
}

/** SHA-256 of the canonical JSON (RFC 8785) of a sanitised request: `request_hash` of the authorization. */
export function requestHash(sanitized: SanitizedRequest): Uint8Array {
  return hashOfCanonical(canonicalJson(sanitized));
}

/** The same, where its canonical JSON is at hand. */
export const hashOfCanonical = (canonical: string): Uint8Array => sha256(utf8(canonical));

/** The integers that go on chain and into the sampler; absent fields take `DEFAULT_SAMPLING`. */
export function samplingOf(sanitized: SanitizedRequest): SamplingParams {
  return {
    temperatureMicros: micros(sanitized.temperature, DEFAULT_SAMPLING.temperatureMicros),
    topK: sanitized.top_k ?? DEFAULT_SAMPLING.topK,
    topPMicros: micros(sanitized.top_p, DEFAULT_SAMPLING.topPMicros),
    minPMicros: micros(sanitized.min_p, DEFAULT_SAMPLING.minPMicros),
    frequencyPenaltyMicros: micros(sanitized.frequency_penalty, DEFAULT_SAMPLING.frequencyPenaltyMicros),
    presencePenaltyMicros: micros(sanitized.presence_penalty, DEFAULT_SAMPLING.presencePenaltyMicros),
  };
}

function micros(value: number | undefined, otherwise: number): number {
  return value === undefined ? otherwise : toMicros(value);
}

function messages(value: unknown): ChatMessage[] {
  if (!Array.isArray(value) || value.length === 0) throw refuse("messages", "a list of at least one message");
  if (value.length > REQUEST_LIMITS.messages) throw refuse("messages", "too many messages", value.length);
  return value.map((item, i) => message(item, `messages[${i}]`));
}

function message(value: unknown, param: string): ChatMessage {
  const fields = fieldsOf(value, param);
  if (!ROLES.has(fields.role)) throw refuse(`${param}.role`, "not a role", fields.role);
  const role = fields.role as Role;
  const body = content(fields.content, `${param}.content`);
  // Only an assistant's turn may be without text: it can consist of a tool call.
  if (body === null && role !== "assistant") throw refuse(`${param}.content`, "must be text");
  return dropAbsent({
    role,
    content: body,
    name: optionalText(fields.name, `${param}.name`),
    tool_call_id: optionalText(fields.tool_call_id, `${param}.tool_call_id`),
    tool_calls: role === "assistant" ? toolCalls(fields.tool_calls, `${param}.tool_calls`) : undefined,
  });
}

function toolCalls(value: unknown, param: string): ToolCall[] | undefined {
  if (!present(value)) return undefined;
  if (!Array.isArray(value)) throw refuse(param, "must be a list");
  if (value.length > REQUEST_LIMITS.toolCalls) throw refuse(param, "too many calls", value.length);
  const calls = value.map((item, i) => toolCall(item, `${param}[${i}]`));
  return calls.length === 0 ? undefined : calls;
}

function toolCall(value: unknown, param: string): ToolCall {
  const fields = fieldsOf(value, param);
  if (fields.type !== "function") throw refuse(`${param}.type`, "only functions are offered", fields.type);
  const called = fieldsOf(fields.function, `${param}.function`);
  if (typeof called.arguments !== "string") throw refuse(`${param}.function.arguments`, "must be JSON text");
  return {
    id: text(fields.id, `${param}.id`, 1, REQUEST_LIMITS.nameLength),
    type: "function",
    function: {
      name: text(called.name, `${param}.function.name`, 1, REQUEST_LIMITS.nameLength),
      arguments: wellFormed(called.arguments, `${param}.function.arguments`),
    },
  };
}

function content(value: unknown, param: string): string | null {
  if (!present(value)) return null;
  if (typeof value === "string") return wellFormed(value, param);
  if (!Array.isArray(value)) throw refuse(param, "a string, a list of text parts, or null");
  if (value.length > REQUEST_LIMITS.contentParts) throw refuse(param, "too many parts", value.length);
  return value.map((part, i) => textPart(part, `${param}[${i}]`)).join("\n");
}

function textPart(value: unknown, param: string): string {
  const part = fieldsOf(value, param);
  if (part.type !== "text") throw refuse(`${param}.type`, "only text parts are offered", part.type);
  if (typeof part.text !== "string") throw refuse(`${param}.text`, "must be a string");
  return wellFormed(part.text, `${param}.text`);
}

function prompt(value: unknown): string {
  // The OpenAI API also takes lists of strings (several inferences) and token ids (bound to a tokeniser).
  const single = Array.isArray(value) && value.length === 1 ? value[0] : value;
  if (typeof single !== "string") throw refuse("prompt", "must be one string");
  return wellFormed(single, "prompt");
}

function maxTokens(fields: Fields): number | undefined {
  const param = present(fields.max_completion_tokens) ? "max_completion_tokens" : "max_tokens";
  return integer(fields[param], param, 1, REQUEST_LIMITS.maxTokens);
}

function topK(value: unknown): number | undefined {
  // 0 and −1 are how vLLM and llama-server spell "off", which here is the network's bound.
  if (value === 0 || value === -1) return undefined;
  return integer(value, "top_k", 1, MAX_TOP_K);
}

function stop(value: unknown): string[] | undefined {
  if (!present(value)) return undefined;
  const list = Array.isArray(value) ? value : [value];
  if (list.length > REQUEST_LIMITS.stopSequences) throw refuse("stop", "at most 4 sequences", list.length);
  const sequences = list.map((item) => text(item, "stop", 1, REQUEST_LIMITS.stopLength));
  return sequences.length === 0 ? undefined : sequences;
}

function chatLogprobs(fields: Fields): { logprobs?: boolean; top_logprobs?: number } {
  const { logprobs } = fields;
  if (present(logprobs) && typeof logprobs !== "boolean") throw refuse("logprobs", "must be true or false");
  const top = integer(fields.top_logprobs, "top_logprobs", 0, REQUEST_LIMITS.topLogprobs);
  if (top !== undefined && logprobs !== true) throw refuse("top_logprobs", "needs logprobs: true");
  return dropAbsent({ logprobs: present(logprobs) ? (logprobs as boolean) : undefined, top_logprobs: top });
}

function completionLogprobs(fields: Fields): { logprobs?: number } {
  return dropAbsent({ logprobs: integer(fields.logprobs, "logprobs", 0, REQUEST_LIMITS.topLogprobs) });
}

function number(value: unknown, param: string, least: number, most: number): number | undefined {
  if (!present(value)) return undefined;
  if (typeof value !== "number" || !(value >= least && value <= most)) {
    throw refuse(param, `a number from ${least} to ${most}`, value);
  }
  return value === 0 ? 0 : value; // −0 and 0 are one request
}

function integer(value: unknown, param: string, least: number, most: number): number | undefined {
  const checked = number(value, param, least, most);
  if (checked !== undefined && !Number.isInteger(checked)) throw refuse(param, "must be an integer", value);
  return checked;
}

function text(value: unknown, param: string, least: number, most: number): string {
  if (typeof value !== "string" || value.length < least || value.length > most) {
    throw refuse(param, `a string of ${least} ${Number.isFinite(most) ? `to ${most}` : "or more"} characters`);
  }
  return wellFormed(value, param);
}

function optionalText(value: unknown, param: string): string | undefined {
  return present(value) ? text(value, param, 1, REQUEST_LIMITS.nameLength) : undefined;
}

function wellFormed(value: string, param: string): string {
  if (!value.isWellFormed()) throw refuse(param, "lone surrogate");
  return value;
}

type Present<T> = { [K in keyof T]: Exclude<T[K], undefined> };

function dropAbsent<T extends object>(value: T): Present<T> {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as Present<T>;
}

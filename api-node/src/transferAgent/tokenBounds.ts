import { KaratError } from "@karat/common";
import { EMBEDDING_LIMITS } from "@karat/rules";
import type { TokenCount } from "../executor/mlNode.ts";
import type { MlPool } from "../executor/mlPool.ts";
import type { ClientRequest } from "./clientRequest.ts";

/** What an answer may be at most when the request names no number, as far as the context leaves it. */
export const DEFAULT_MAX_TOKENS = 512;
/** Role, separators and header of one message, and of the whole template, in tokens at most. */
const TOKENS_PER_MESSAGE = 16;
const TOKENS_PER_TEMPLATE = 64;
/** What stands around a call or the description of a function, and around all descriptions, in bytes at most. */
const TOKENS_PER_CALL = 96;
const TOKENS_OF_INSTRUCTIONS = 256;
/** What a tokeniser puts around a text that is embedded. */
const TOKENS_PER_INPUT = 4;

export interface TokenBounds {
  readonly maxInputTokens: number;
  readonly maxOutputTokens: number;
}

export interface FoundBounds {
  readonly bounds: TokenBounds;
  /** A tokeniser was asked, where there is one: no closer bound can be had. */
  readonly counted: boolean;
}

/**
 * How many tokens the authorization allows. A byte is a token at most, so a prompt far from every limit need not be counted before it is
 * asked; near one, or `exactly`, it is, when a node here has the model's tokeniser. Throws `context_length_exceeded` when prompt and answer
 * do not fit, or the prompt is longer than this node takes.
 */
export async function tokenBounds(
  request: ClientRequest,
  ml: MlPool,
  contextLength: number,
  { maxPromptTokens = contextLength, exactly = false }: { maxPromptTokens?: number; exactly?: boolean } = {},
): Promise<FoundBounds> {
  const { model, input } = request.sanitized;
  if (input)
    return await inputBounds(
      input,
      (all) => ml.countTokens(model, { input: all }),
      Math.min(contextLength, maxPromptTokens),
      exactly,
    );
  const bytes = byteBound(request);
  const wanted = request.sanitized.max_tokens ?? DEFAULT_MAX_TOKENS;
  // The context also holds the position after the last token.
  if (!exactly && bytes + wanted < contextLength && bytes <= maxPromptTokens) {
    return { bounds: { maxInputTokens: bytes, maxOutputTokens: wanted }, counted: false };
  }
  return { bounds: await countedBounds(request, ml, contextLength, maxPromptTokens), counted: true };
}

async function countedBounds(
  request: ClientRequest,
  ml: MlPool,
  contextLength: number,
  maxPromptTokens: number,
): Promise<TokenBounds> {
  const { model, messages, prompt, tools, max_tokens: asked } = request.sanitized;
  const input = messages ? { messages, ...(tools ? { tools } : {}) } : { prompt };
  // A node that fails here may still fail over: without its count, the bytes bound the prompt.
  const exact = (await ml.countTokens(model, input).catch(() => undefined))?.count;
  const promptTokens = exact ?? Math.min(byteBound(request), contextLength - 1, maxPromptTokens);
  const room = contextLength - 1 - promptTokens;
  if (exact !== undefined && room < (asked ?? 1)) {
    const data = { prompt_tokens: exact, max_tokens: asked ?? 1, context_length: contextLength, param: "messages" };
    const message = `This model's context is ${contextLength} tokens: ${exact} of the prompt and ${asked ?? 1} of the answer do not fit.`;
    throw new KaratError("context_length_exceeded", message, data);
  }
  if ((exact ?? 0) > maxPromptTokens) {
    const data = { prompt_tokens: exact, context_length: maxPromptTokens, param: "messages" };
    throw new KaratError(
      "context_length_exceeded",
      `This node takes prompts of up to ${maxPromptTokens} tokens.`,
      data,
    );
  }
  const longest = exact === undefined ? Math.max(room, Math.min(contextLength - 1, DEFAULT_MAX_TOKENS) >> 1, 1) : room;
  return {
    maxInputTokens: promptTokens,
    maxOutputTokens: asked === undefined ? Math.min(DEFAULT_MAX_TOKENS, longest) : Math.min(asked, contextLength - 1),
  };
}

function byteBound({ sanitized }: ClientRequest): number {
  if (sanitized.prompt !== undefined) return Buffer.byteLength(sanitized.prompt) + TOKENS_PER_TEMPLATE;
  const { messages = [], tools = [] } = sanitized;
  let bound = TOKENS_PER_TEMPLATE;
  for (const { content, tool_calls: calls = [] } of messages) {
    bound += Buffer.byteLength(content ?? "") + TOKENS_PER_MESSAGE + calls.length * TOKENS_PER_CALL;
    for (const { function: called } of calls) bound += Buffer.byteLength(JSON.stringify(called));
  }
  if (tools.length > 0) bound += TOKENS_OF_INSTRUCTIONS;
  for (const tool of tools) bound += Buffer.byteLength(JSON.stringify(tool)) + TOKENS_PER_CALL;
  return bound;
}

/** Each text is read alone, and its vector counts as one token of output. */
async function inputBounds(
  input: readonly string[],
  count: (input: readonly string[]) => Promise<TokenCount | undefined>,
  longest: number,
  exactly: boolean,
): Promise<FoundBounds> {
  const bytes = input.map((text) => Buffer.byteLength(text) + TOKENS_PER_INPUT);
  const all = sum(bytes);
  if (!exactly && all <= EMBEDDING_LIMITS.tokens && bytes.every((bound) => bound <= longest)) {
    return { bounds: { maxInputTokens: all, maxOutputTokens: input.length }, counted: false };
  }
  const exact = await count(input).catch(() => undefined);
  const tooLong = exact?.counts?.find((tokens) => tokens > longest);
  if (tooLong !== undefined) {
    const message = `An input takes up to ${longest} tokens here: one has ${tooLong}.`;
    const data = { prompt_tokens: tooLong, context_length: longest, param: "input" };
    throw new KaratError("context_length_exceeded", message, data);
  }
  if (exact && exact.count > EMBEDDING_LIMITS.tokens) {
    const message = `input: ${exact.count} tokens in all, where one request takes up to ${EMBEDDING_LIMITS.tokens}`;
    throw new KaratError("invalid_request", message, { param: "input" });
  }
  const shorter = Math.min(EMBEDDING_LIMITS.tokens, sum(bytes.map((bound) => Math.min(bound, longest))));
  const maxInputTokens = exact?.count ?? shorter;
  return { bounds: { maxInputTokens, maxOutputTokens: input.length }, counted: true };
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0);

import { KaratError, utf8 } from "@karat/common";

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

export interface TokenBounds {
  readonly maxInputTokens: number;
  readonly maxOutputTokens: number;
}

/**
 * How many tokens the authorization allows: exactly those of the prompt when a node here has the model's tokeniser, else one for each
 * byte at most. Throws `context_length_exceeded` when prompt and answer do not fit, or the prompt is longer than this node takes.
 */
export async function tokenBounds(
  request: ClientRequest,
  ml: MlPool,
  contextLength: number,
  maxPromptTokens = contextLength,
): Promise<TokenBounds> {
  const { model, messages, prompt, tools, max_tokens: asked } = request.sanitized;
  const input = messages ? { messages, ...(tools ? { tools } : {}) } : { prompt };
  // A node that fails here may still fail over: without its count, the bytes bound the prompt.
  const exact = await ml.countTokens(model, input).catch(() => undefined);
  const promptTokens = exact ?? Math.min(byteBound(request), contextLength - 1, maxPromptTokens);
  // The context also holds the position after the last token.
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
  if (sanitized.prompt !== undefined) return utf8(sanitized.prompt).length + TOKENS_PER_TEMPLATE;
  const { messages = [], tools = [] } = sanitized;
  let bound = TOKENS_PER_TEMPLATE;
  for (const { content, tool_calls: calls = [] } of messages) {
    bound += utf8(content ?? "").length + TOKENS_PER_MESSAGE + calls.length * TOKENS_PER_CALL;
    for (const { function: called } of calls) bound += utf8(JSON.stringify(called)).length;
  }
  if (tools.length > 0) bound += TOKENS_OF_INSTRUCTIONS;
  for (const tool of tools) bound += utf8(JSON.stringify(tool)).length + TOKENS_PER_CALL;
  return bound;
}

/** Builders of the legacy text_completion object and its stream chunks (the same shape, piece by piece). */
import { type AnswerHeader, headerOf, type TextToken } from "./chat.ts";
import { type CompletionLogprobs, completionLogprobs, type TokenWithAlternatives } from "./logprobs.ts";
import { type OpenAiFinishReason, openAiFinish, type Usage } from "./usage.ts";

export interface CompletionFormat extends AnswerHeader {
  /** `logprobs` of the request, 0…20; absent: none. */
  logprobs?: number;
  includeUsage?: boolean;
}

export interface TextCompletion extends AnswerHeader {
  object: "text_completion";
  choices: {
    index: 0;
    text: string;
    logprobs: CompletionLogprobs | null;
    finish_reason: OpenAiFinishReason | null;
  }[];
  usage?: Usage | null;
}

export function textCompletion(
  format: CompletionFormat,
  answer: { text: string; tokens: readonly TokenWithAlternatives[]; finishReason: string; usage: Usage },
): TextCompletion {
  const logprobs = logprobsOf(format, answer.tokens, 0);
  const choice = { index: 0 as const, text: answer.text, logprobs, finish_reason: openAiFinish(answer.finishReason) };
  return { ...header(format), choices: [choice], usage: answer.usage };
}

/** The chunk of one token; `offset` is the number of characters before it. Undefined where there is nothing to tell. */
export function textTokenChunk(format: CompletionFormat, token: TextToken, offset: number): TextCompletion | undefined {
  const logprobs = logprobsOf(format, [token], offset);
  if (token.text === "" && logprobs === null) return undefined;
  return chunk(format, { index: 0, text: token.text, logprobs, finish_reason: null });
}

export const textFinishChunk = (format: CompletionFormat, finishReason: string): TextCompletion =>
  chunk(format, { index: 0, text: "", logprobs: null, finish_reason: openAiFinish(finishReason) });

export const textUsageChunk = (format: CompletionFormat, usage: Usage): TextCompletion => ({
  ...header(format),
  choices: [],
  usage,
});

const header = (format: AnswerHeader) => ({ ...headerOf(format), object: "text_completion" as const });

const chunk = (format: CompletionFormat, choice: TextCompletion["choices"][number]): TextCompletion => ({
  ...header(format),
  choices: [choice],
  ...(format.includeUsage ? { usage: null } : {}),
});

const logprobsOf = (format: CompletionFormat, tokens: readonly TokenWithAlternatives[], offset: number) =>
  format.logprobs === undefined ? null : completionLogprobs(tokens, format.logprobs, offset);

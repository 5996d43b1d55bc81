/** Builders of chat.completion and chat.completion.chunk objects, exactly with the keys the schema requires. */
import { type ChatTokenLogprob, chatLogprob, type TokenWithAlternatives } from "./logprobs.ts";
import { type OpenAiFinishReason, openAiFinish, type Usage } from "./usage.ts";

export interface AnswerHeader {
  /** "chatcmpl-…" or "cmpl-…". */
  id: string;
  /** Unix seconds. */
  created: number;
  model: string;
}

export interface ChatFormat extends AnswerHeader {
  /** Number of alternatives to show, 0…20; absent: no log-probabilities. */
  topLogprobs?: number;
  /** With `stream_options.include_usage`, every chunk carries `usage: null` and one more carries the usage. */
  includeUsage?: boolean;
}

type ChatLogprobs = { content: ChatTokenLogprob[]; refusal: null } | null;

export interface ChatCompletion extends AnswerHeader {
  object: "chat.completion";
  choices: [
    {
      index: 0;
      message: { role: "assistant"; content: string; refusal: null };
      logprobs: ChatLogprobs;
      finish_reason: OpenAiFinishReason;
    },
  ];
  usage: Usage;
}

export interface ChatChunk extends AnswerHeader {
  object: "chat.completion.chunk";
  choices: {
    index: 0;
    delta: { role?: "assistant"; content?: string };
    logprobs: ChatLogprobs;
    finish_reason: OpenAiFinishReason | null;
  }[];
  usage?: Usage | null;
}

/** A token with the text that it completed; the texts of all tokens together are the whole answer. */
export interface TextToken extends TokenWithAlternatives {
  text: string;
}

export function chatCompletion(
  format: ChatFormat,
  answer: { text: string; tokens: readonly TokenWithAlternatives[]; finishReason: string; usage: Usage },
): ChatCompletion {
  const { id, created, model } = format;
  return {
    id,
    object: "chat.completion",
    created,
    model,
    choices: [
      {
        index: 0,
        message: { role: "assistant", content: answer.text, refusal: null },
        logprobs: chatLogprobs(format, answer.tokens),
        finish_reason: openAiFinish(answer.finishReason),
      },
    ],
    usage: answer.usage,
  };
}

/** The first chunk names the role; strict readers refuse a stream without it. */
export const chatRoleChunk = (format: ChatFormat): ChatChunk =>
  chunk(format, { index: 0, delta: { role: "assistant", content: "" }, logprobs: null, finish_reason: null });

/** The chunk of one token, or undefined where there is nothing to tell (text held back, no log-probabilities asked for). */
export function chatTokenChunk(format: ChatFormat, token: TextToken): ChatChunk | undefined {
  const logprobs = chatLogprobs(format, [token]);
  if (token.text === "" && logprobs === null) return undefined;
  return chunk(format, { index: 0, delta: { content: token.text }, logprobs, finish_reason: null });
}

export const chatFinishChunk = (format: ChatFormat, finishReason: string): ChatChunk =>
  chunk(format, { index: 0, delta: {}, logprobs: null, finish_reason: openAiFinish(finishReason) });

/** The extra chunk before [DONE]; only with `includeUsage`. */
export const chatUsageChunk = (format: ChatFormat, usage: Usage): ChatChunk => ({
  ...chunk(format),
  usage,
});

function chunk(format: ChatFormat, ...choices: ChatChunk["choices"]): ChatChunk {
  const { id, created, model, includeUsage } = format;
  return { id, object: "chat.completion.chunk", created, model, choices, ...(includeUsage ? { usage: null } : {}) };
}

function chatLogprobs(format: ChatFormat, tokens: readonly TokenWithAlternatives[]): ChatLogprobs {
  const top = format.topLogprobs;
  return top === undefined ? null : { content: tokens.map((token) => chatLogprob(token, top)), refusal: null };
}

/** Builders of chat.completion and chat.completion.chunk objects, exactly with the keys the schema requires. */
import { type ChatTokenLogprob, chatLogprob, type TokenWithAlternatives } from "./logprobs.ts";
import { type AnswerCall, type AnswerPiece, callId, type PieceReader } from "./pieces.ts";
import { type OpenAiFinishReason, openAiFinish, type Usage } from "./usage.ts";

export interface AnswerHeader {
  /** "chatcmpl-…" or "cmpl-…". */
  id: string;
  /** Unix seconds. */
  created: number;
  model: string;
  /** Which weights and engine answer, where that is known. */
  system_fingerprint?: string;
}

export interface ChatFormat extends AnswerHeader {
  /** Number of alternatives to show, 0…20; absent: no log-probabilities. */
  topLogprobs?: number;
  /** With `stream_options.include_usage`, every chunk carries `usage: null` and one more carries the usage. */
  includeUsage?: boolean;
}

export interface ChatToolCall {
  id: string;
  type: "function";
  function: { name: string; arguments: string };
}

/** A call begins with id, type and name; what follows of it carries the index only. */
export interface ChatToolCallDelta {
  index: number;
  id?: string;
  type?: "function";
  function: { name?: string; arguments: string };
}

type ChatLogprobs = { content: ChatTokenLogprob[]; refusal: null } | null;

export interface ChatCompletion extends AnswerHeader {
  object: "chat.completion";
  choices: [
    {
      index: 0;
      message: { role: "assistant"; content: string | null; refusal: null; tool_calls?: ChatToolCall[] };
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
    delta: { role?: "assistant"; content?: string; tool_calls?: ChatToolCallDelta[] };
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
  answer: {
    /** Null where the answer is nothing but calls. */
    text: string | null;
    calls?: readonly AnswerCall[];
    tokens: readonly TokenWithAlternatives[];
    finishReason: string;
    usage: Usage;
  },
): ChatCompletion {
  const { calls = [] } = answer;
  const toolCalls = calls.map((call, index) => ({
    id: callId(format.id, index),
    type: "function" as const,
    function: { name: call.name, arguments: call.arguments },
  }));
  return {
    ...headerOf(format),
    object: "chat.completion",
    choices: [
      {
        index: 0,
        message: {
          role: "assistant",
          content: answer.text,
          refusal: null,
          ...(toolCalls.length > 0 ? { tool_calls: toolCalls } : {}),
        },
        logprobs: chatLogprobs(format, answer.tokens),
        finish_reason: openAiFinish(answer.finishReason, calls.length > 0),
      },
    ],
    usage: answer.usage,
  };
}

/** The first chunk names the role; strict readers refuse a stream without it. */
export const chatRoleChunk = (format: ChatFormat): ChatChunk =>
  chunk(format, { index: 0, delta: { role: "assistant", content: "" }, logprobs: null, finish_reason: null });

/** The chunks of an answer as its tokens come. Without a reader, all of it is text. */
export class ChatStream {
  readonly #format: ChatFormat;
  readonly #reader: PieceReader | undefined;
  #called = false;

  constructor(format: ChatFormat, reader?: PieceReader) {
    this.#format = format;
    this.#reader = reader;
  }

  /** None where there is nothing to tell (text held back, no log-probabilities asked for). */
  token(token: TextToken): ChatChunk[] {
    const logprobs = chatLogprobs(this.#format, [token]);
    const pieces = this.#reader ? this.#reader.push(token.text) : textPiece(token.text);
    if (pieces.length > 0) return this.#chunks(pieces, logprobs);
    return logprobs ? [this.#chunk({ content: "" }, logprobs)] : [];
  }

  /** What was held back, and the end. */
  finish(finishReason: string): ChatChunk[] {
    const rest = this.#chunks(this.#reader?.finish() ?? [], null);
    const finish_reason = openAiFinish(finishReason, this.#called);
    return [...rest, chunk(this.#format, { index: 0, delta: {}, logprobs: null, finish_reason })];
  }

  /** The log-probabilities of a token come with the first chunk that it makes. */
  #chunks(pieces: readonly AnswerPiece[], logprobs: ChatLogprobs): ChatChunk[] {
    return pieces.map((piece, i) => {
      this.#called ||= piece.type === "call";
      return this.#chunk(deltaOf(this.#format.id, piece), i === 0 ? logprobs : null);
    });
  }

  #chunk(delta: ChatChunk["choices"][number]["delta"], logprobs: ChatLogprobs): ChatChunk {
    return chunk(this.#format, { index: 0, delta, logprobs, finish_reason: null });
  }
}

const textPiece = (text: string): AnswerPiece[] => (text === "" ? [] : [{ type: "text", text }]);

function deltaOf(answerId: string, piece: AnswerPiece): ChatChunk["choices"][number]["delta"] {
  if (piece.type === "text") return { content: piece.text };
  const { index } = piece;
  if (piece.type === "arguments") return { tool_calls: [{ index, function: { arguments: piece.text } }] };
  const begun = { id: callId(answerId, index), type: "function" as const };
  return { tool_calls: [{ index, ...begun, function: { name: piece.name, arguments: "" } }] };
}

/** The extra chunk before [DONE]; only with `includeUsage`. */
export const chatUsageChunk = (format: ChatFormat, usage: Usage): ChatChunk => ({
  ...chunk(format),
  usage,
});

function chunk(format: ChatFormat, ...choices: ChatChunk["choices"]): ChatChunk {
  return {
    ...headerOf(format),
    object: "chat.completion.chunk",
    choices,
    ...(format.includeUsage ? { usage: null } : {}),
  };
}

export const headerOf = ({ id, created, model, system_fingerprint }: AnswerHeader): AnswerHeader => ({
  id,
  created,
  model,
  ...(system_fingerprint === undefined ? {} : { system_fingerprint }),
});

function chatLogprobs(format: ChatFormat, tokens: readonly TokenWithAlternatives[]): ChatLogprobs {
  const top = format.topLogprobs;
  return top === undefined ? null : { content: tokens.map((token) => chatLogprob(token, top)), refusal: null };
}

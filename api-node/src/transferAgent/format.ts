import {
  type ChatFormat,
  ChatStream,
  type CompletionFormat,
  chatCompletion,
  chatRoleChunk,
  chatUsageChunk,
  textCompletion,
  textFinishChunk,
  textTokenChunk,
  textUsageChunk,
  usageOf,
} from "@karat/common/openai";
import { AnswerReader, readAnswer } from "@karat/rules";
import type { TokenLine } from "../executor/protocol.ts";
import type { ClientRequest } from "./clientRequest.ts";
import type { Answered } from "./dispatch.ts";

/** How an answer is told to a client: the objects of one endpoint, chat or text. */
export interface AnswerFormat {
  /** Before the first token. */
  readonly opening: () => object[];
  readonly token: (token: TokenLine) => object[];
  /** The last events; the very last one carries `karat`. */
  readonly closing: (answer: Answered, karat: object) => object[];
  readonly whole: (answer: Answered, tokens: readonly TokenLine[], karat: object) => object;
}

export function answerFormat(request: ClientRequest, inferenceId: string, created: number): AnswerFormat {
  return request.kind === "chat"
    ? chatFormat(request, inferenceId, created)
    : textFormat(request, inferenceId, created);
}

/**
 * With functions to call, the receipt's `text` is what was hashed: the answer as the model wrote it.
 * The receipt rides on the last event that the API has anyway: an event of its own would have no choice in it, and much client code
 * reads `choices[0]` of every event.
 */
const withReceipt = (events: object[], karat: object): object[] =>
  events.map((event, i) => (i === events.length - 1 ? { ...event, karat } : event));

const usage = ({ whole }: Answered) => usageOf(whole.promptTokens, whole.completionTokens);

function chatFormat({ sanitized, includeUsage }: ClientRequest, inferenceId: string, created: number): AnswerFormat {
  const format: ChatFormat = {
    id: `chatcmpl-${inferenceId.slice(0, 32)}`,
    created,
    model: sanitized.model,
    includeUsage,
    ...(sanitized.logprobs === true ? { topLogprobs: sanitized.top_logprobs ?? 0 } : {}),
  };
  // Only an answer that may call functions is read for calls: in any other, the same text is text.
  const mayCall = sanitized.tools !== undefined;
  const stream = new ChatStream(format, mayCall ? new AnswerReader() : undefined);
  return {
    opening: () => [chatRoleChunk(format)],
    token: (token) => stream.token(token),
    closing: (answer, karat) => {
      const finish = stream.finish(answer.end.finish_reason);
      const events = includeUsage ? [...finish, chatUsageChunk(format, usage(answer))] : finish;
      return withReceipt(events, mayCall ? { ...karat, text: answer.whole.text } : karat);
    },
    whole: (answer, tokens, karat) => {
      const { text } = answer.whole;
      const { finish_reason: finishReason } = answer.end;
      const read = mayCall ? readAnswer(text) : { text };
      const receipt = mayCall ? { ...karat, text } : karat;
      return { ...chatCompletion(format, { ...read, tokens, finishReason, usage: usage(answer) }), karat: receipt };
    },
  };
}

function textFormat({ sanitized, includeUsage }: ClientRequest, inferenceId: string, created: number): AnswerFormat {
  const format: CompletionFormat = {
    id: `cmpl-${inferenceId.slice(0, 32)}`,
    created,
    model: sanitized.model,
    includeUsage,
    ...(typeof sanitized.logprobs === "number" ? { logprobs: sanitized.logprobs } : {}),
  };
  let offset = 0;
  return {
    opening: () => [],
    token: (token) => {
      const chunk = textTokenChunk(format, token, offset);
      offset += token.text.length;
      return chunk ? [chunk] : [];
    },
    closing: (answer, karat) => {
      const finish = textFinishChunk(format, answer.end.finish_reason);
      return withReceipt(includeUsage ? [finish, textUsageChunk(format, usage(answer))] : [finish], karat);
    },
    whole: (answer, tokens, karat) => {
      const { text } = answer.whole;
      const { finish_reason: finishReason } = answer.end;
      return { ...textCompletion(format, { text, tokens, finishReason, usage: usage(answer) }), karat };
    },
  };
}

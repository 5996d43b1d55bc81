import {
  type ChatFormat,
  ChatStream,
  type CompletionFormat,
  chatCompletion,
  chatRoleChunk,
  chatUsageChunk,
  embeddingList,
  type OpenAiError,
  type ResponseFormat,
  ResponseStream,
  responseEvent,
  SSE_DONE,
  sseEvent,
  textCompletion,
  textFinishChunk,
  textTokenChunk,
  textUsageChunk,
  usageOf,
  wholeResponse,
} from "@karat/common/openai";
import { AnswerReader, readAnswer, shortened, vectorBytes } from "@karat/rules";
import type { TokenLine } from "../executor/protocol.ts";
import type { ClientRequest } from "./clientRequest.ts";
import type { Answered } from "./dispatch.ts";

/** How an answer is told to a client: the objects of one endpoint, in a stream as the text of their events. */
export interface AnswerFormat {
  /** Before the first token. */
  readonly opening: () => string;
  readonly token: (token: TokenLine) => string;
  /** The end of the stream; its last object carries `karat`. */
  readonly closing: (answer: Answered, karat: object) => string;
  /** The end of a stream that failed. */
  readonly failure: (error: OpenAiError) => string;
  readonly whole: (answer: Answered, tokens: readonly TokenLine[], karat: object) => object;
}

/** What of an answer is known before it begins. */
export interface AnswerFacts {
  /** Hex. */
  readonly inferenceId: string;
  /** Unix seconds. */
  readonly created: number;
  /** Stands for the weights that answer. */
  readonly fingerprint: string;
}

export function answerFormat(request: ClientRequest, facts: AnswerFacts): AnswerFormat {
  switch (request.kind) {
    case "chat":
      return chatFormat(request, facts);
    case "text":
      return textFormat(request, facts);
    case "responses":
      return responsesFormat(request, facts);
    case "embeddings":
      return embeddingsFormat(request);
  }
}

const chunks = (events: readonly object[]): string => events.map(sseEvent).join("");
const failure = (error: OpenAiError): string => sseEvent({ error }) + SSE_DONE;

/**
 * With functions to call, the receipt's `text` is what was hashed: the answer as the model wrote it.
 * The receipt rides on the last event that the API has anyway: an event of its own would have no choice in it, and much client code
 * reads `choices[0]` of every event.
 */
const withReceipt = (events: object[], karat: object): object[] =>
  events.map((event, i) => (i === events.length - 1 ? { ...event, karat } : event));

const usage = ({ whole }: Answered) => usageOf(whole.promptTokens, whole.completionTokens);

function chatFormat({ sanitized, includeUsage }: ClientRequest, facts: AnswerFacts): AnswerFormat {
  const { inferenceId, created, fingerprint } = facts;
  const format: ChatFormat = {
    id: `chatcmpl-${inferenceId.slice(0, 32)}`,
    created,
    model: sanitized.model,
    system_fingerprint: fingerprint,
    includeUsage,
    ...(sanitized.logprobs === true ? { topLogprobs: sanitized.top_logprobs ?? 0 } : {}),
  };
  // Only an answer that may call functions is read for calls: in any other, the same text is text.
  const mayCall = sanitized.tools !== undefined;
  const stream = new ChatStream(format, mayCall ? new AnswerReader() : undefined);
  return {
    opening: () => chunks([chatRoleChunk(format)]),
    token: (token) => chunks(stream.token(token)),
    failure,
    closing: (answer, karat) => {
      const finish = stream.finish(answer.end.finish_reason);
      const events = includeUsage ? [...finish, chatUsageChunk(format, usage(answer))] : finish;
      return chunks(withReceipt(events, mayCall ? { ...karat, text: answer.whole.text } : karat)) + SSE_DONE;
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

function textFormat({ sanitized, includeUsage }: ClientRequest, facts: AnswerFacts): AnswerFormat {
  const { inferenceId, created, fingerprint } = facts;
  const format: CompletionFormat = {
    id: `cmpl-${inferenceId.slice(0, 32)}`,
    created,
    model: sanitized.model,
    system_fingerprint: fingerprint,
    includeUsage,
    ...(typeof sanitized.logprobs === "number" ? { logprobs: sanitized.logprobs } : {}),
  };
  let offset = 0;
  return {
    opening: () => "",
    failure,
    token: (token) => {
      const chunk = textTokenChunk(format, token, offset);
      offset += token.text.length;
      return chunk ? sseEvent(chunk) : "";
    },
    closing: (answer, karat) => {
      const finish = textFinishChunk(format, answer.end.finish_reason);
      const events = includeUsage ? [finish, textUsageChunk(format, usage(answer))] : [finish];
      return chunks(withReceipt(events, karat)) + SSE_DONE;
    },
    whole: (answer, tokens, karat) => {
      const { text } = answer.whole;
      const { finish_reason: finishReason } = answer.end;
      return { ...textCompletion(format, { text, tokens, finishReason, usage: usage(answer) }), karat };
    },
  };
}

/** Its streams end with the event that holds the whole response; there is no `[DONE]`. */
function responsesFormat(request: ClientRequest, { inferenceId, created }: AnswerFacts): AnswerFormat {
  const { sanitized, settings } = request;
  if (!settings) throw new Error("a response without its settings");
  const format: ResponseFormat = {
    ...settings,
    id: `resp_${inferenceId.slice(0, 32)}`,
    created,
    ...(sanitized.logprobs === true ? { topLogprobs: sanitized.top_logprobs ?? 0 } : {}),
  };
  const mayCall = sanitized.tools !== undefined;
  const reader = (): AnswerReader | undefined => (mayCall ? new AnswerReader() : undefined);
  const receipt = (answer: Answered, karat: object) => (mayCall ? { ...karat, text: answer.whole.text } : karat);
  const stream = new ResponseStream(format, reader());
  const events = (list: readonly { type: string }[]): string => list.map(responseEvent).join("");
  return {
    opening: () => events(stream.begin()),
    token: (token) => events(stream.token(token)),
    closing: (answer, karat) =>
      events(stream.finish(answer.end.finish_reason, usage(answer), { karat: receipt(answer, karat) })),
    failure: (error) => events([stream.fail(error)]),
    whole: (answer, tokens, karat) => {
      const { finish_reason: finishReason } = answer.end;
      const response = wholeResponse(format, reader(), { tokens, finishReason, usage: usage(answer) });
      return { ...response, karat: receipt(answer, karat) };
    },
  };
}

/** Never streamed. Each vector counts as a token of output: the total is what is paid for. */
function embeddingsFormat({ sanitized, vectors }: ClientRequest): AnswerFormat {
  const nothing = (): string => "";
  return {
    opening: nothing,
    token: nothing,
    closing: nothing,
    failure,
    whole: ({ vectors: own = [], ...answer }, _tokens, karat) => {
      const { encoding = "float", dimensions } = vectors ?? {};
      const shown = own.map((vector) => vectorBytes(dimensions === undefined ? vector : shortened(vector, dimensions)));
      const list = embeddingList(sanitized.model, shown, encoding, usage(answer));
      // What the executor signed is whole: a client that is shown less of it can compare all the same.
      const signed = dimensions === undefined ? {} : { vectors: answer.end.artifact };
      return { ...list, karat: { ...karat, ...signed } };
    },
  };
}

/** POST /v1/chat/completions and /v1/completions, plain and streamed: the node as an ordinary OpenAI server. */
import { randomBytes } from "node:crypto";
import {
  type ChatFormat,
  ChatStream,
  type CompletionFormat,
  chatCompletion,
  chatRoleChunk,
  chatUsageChunk,
  openAiError,
  refuseUnsupported,
  SSE_DONE,
  SSE_HEADERS,
  sseEvent,
  streamRequest,
  type TextToken,
  textCompletion,
  textFinishChunk,
  textTokenChunk,
  textUsageChunk,
  type Usage,
  usageOf,
} from "@karat/common/openai";
import { AnswerReader, domainHash, readAnswer, type SanitizedRequest, samplingOf, sanitizeRequest } from "@karat/rules";
import type { Request, Response } from "express";
import { type Answer, type AnswerRequest, answer } from "../service/answer.ts";
import { constraintField, inputOf, invalid, record } from "../service/requests.ts";
import { bodyOf, type NodeContext, requestSignal, requireModel, write } from "./context.ts";
import { AnswerMeter } from "./meter.ts";

/** How one of the two endpoints writes an answer. */
interface Dialect {
  whole(finished: Finished): unknown;
  begin(): unknown[];
  token(token: TextToken): readonly unknown[];
  finish(reason: string): readonly unknown[];
  usage(usage: Usage): unknown;
}

interface Finished {
  text: string;
  tokens: readonly TextToken[];
  finishReason: string;
  usage: Usage;
}

export const chatCompletions = (context: NodeContext, request: Request, response: Response): Promise<void> => {
  const { sanitized, includeUsage, stream } = read(context, request, "messages");
  const topLogprobs = sanitized.logprobs === true ? (sanitized.top_logprobs ?? 0) : undefined;
  const format: ChatFormat = {
    ...header(context, "chatcmpl"),
    ...(topLogprobs === undefined ? {} : { topLogprobs }),
    includeUsage,
  };
  const mayCall = sanitized.tools !== undefined;
  const chunks = new ChatStream(format, mayCall ? new AnswerReader() : undefined);
  const dialect: Dialect = {
    whole: (finished) => chatCompletion(format, mayCall ? { ...finished, ...readAnswer(finished.text) } : finished),
    begin: () => [chatRoleChunk(format)],
    token: (token) => chunks.token(token),
    finish: (reason) => chunks.finish(reason),
    usage: (usage) => chatUsageChunk(format, usage),
  };
  return respond(context, response, answerRequest(sanitized, topLogprobs ?? 0), dialect, stream, includeUsage);
};

export const completions = (context: NodeContext, request: Request, response: Response): Promise<void> => {
  const { sanitized, includeUsage, stream } = read(context, request, "prompt");
  const logprobs = typeof sanitized.logprobs === "number" ? sanitized.logprobs : undefined;
  const format: CompletionFormat = {
    ...header(context, "cmpl"),
    ...(logprobs === undefined ? {} : { logprobs }),
    includeUsage,
  };
  let offset = 0;
  const dialect: Dialect = {
    whole: (finished) => textCompletion(format, finished),
    begin: () => [],
    token: (token) => {
      const chunk = textTokenChunk(format, token, offset);
      offset += token.text.length;
      return chunk ? [chunk] : [];
    },
    finish: (reason) => [textFinishChunk(format, reason)],
    usage: (usage) => textUsageChunk(format, usage),
  };
  return respond(context, response, answerRequest(sanitized, logprobs ?? 0), dialect, stream, includeUsage);
};

function read(context: NodeContext, request: Request, kind: "messages" | "prompt") {
  const body = record(bodyOf(request));
  const other = kind === "messages" ? "prompt" : "messages";
  if (body[kind] === undefined || body[kind] === null) throw invalid(kind, "is required");
  const sanitized = sanitizeRequest({ ...body, [other]: undefined });
  refuseUnsupported(body);
  requireModel(context, sanitized.model);
  return { sanitized, ...streamRequest(body) };
}

const header = (context: NodeContext, prefix: string) => ({
  id: `${prefix}-${randomBytes(16).toString("hex")}`,
  created: Math.floor(Date.now() / 1000),
  model: context.engine.info().id,
});

function answerRequest(sanitized: SanitizedRequest, topLogprobs: number): AnswerRequest {
  return {
    input: inputOf(sanitized),
    ...(sanitized.max_tokens === undefined ? {} : { maxTokens: sanitized.max_tokens }),
    stop: sanitized.stop ?? [],
    ...constraintField(sanitized),
    sampling: samplingOf(sanitized),
    // The same seed gives the same answer; without one, every answer is new.
    seed: sanitized.seed === undefined ? randomBytes(32) : domainHash("karat/local-seed", String(sanitized.seed)),
    topLogprobs,
    recordTop: 0,
  };
}

async function respond(
  context: NodeContext,
  response: Response,
  request: AnswerRequest,
  dialect: Dialect,
  stream: boolean,
  includeUsage: boolean,
): Promise<void> {
  const meter = new AnswerMeter(context.metrics);
  const tokens: TextToken[] = [];
  const send = async (...payloads: unknown[]): Promise<void> => {
    if (stream && payloads.length > 0) await write(response, payloads.map(sseEvent).join(""));
  };
  try {
    for await (const event of answer(context.engine, request, requestSignal(context, response))) {
      meter.observe(event);
      if (event.type === "start") {
        if (stream) response.status(200).set(SSE_HEADERS);
        await send(...dialect.begin());
      } else if (event.type === "token") {
        if (stream) await send(...dialect.token(event.token));
        else tokens.push(event.token);
      } else if (event.finishReason === "cancelled") {
        if (!context.shutdown.aborted) return; // nobody is listening
        throw context.shutdown.reason;
      } else if (stream) {
        await send(...dialect.finish(event.finishReason), ...(includeUsage ? [dialect.usage(usage(event))] : []));
        await write(response, SSE_DONE);
        response.end();
      } else {
        response.json(
          dialect.whole({ text: event.text, tokens, finishReason: event.finishReason, usage: usage(event) }),
        );
      }
    }
  } catch (error) {
    if (!response.headersSent) throw error;
    context.logger.warn({ error: String(error) }, "an answer failed after it had begun");
    await send(openAiError(error).body);
    response.end();
  }
}

const usage = (event: Answer): Usage => usageOf(event.promptIds.length, event.tokenIds.length);

/** From a request to an answer: renders the prompt, runs the engine, assembles the text, decides why it ended. */
import { isKaratError, KaratError } from "@karat/common";
import type { TextToken, TokenAlternative } from "@karat/common/openai";
import type { SamplingParams } from "@karat/rules";
import type { GeneratedToken, InferenceEngine, PromptInput, TokenLogprob } from "../engine/engine.ts";
import { TextAssembler } from "./textAssembler.ts";

/** Answer length when the request names none, as far as the context allows. */
export const DEFAULT_MAX_TOKENS = 512;

export interface AnswerRequest {
  input: PromptInput;
  maxTokens?: number;
  stop: readonly string[];
  sampling: SamplingParams;
  /** 32 bytes. */
  seed: Uint8Array;
  /** Alternatives to show with each token, 0…20. */
  topLogprobs: number;
  /** Alternatives to record at each position. */
  recordTop: number;
}

export type FinishReason = "stop" | "length" | "stop_sequence" | "cancelled";

/** What the engine reported at one position. */
export interface RecordedPosition extends TokenLogprob {
  top: readonly TokenLogprob[];
}

export interface Answer {
  promptIds: readonly number[];
  maxTokens: number;
  finishReason: FinishReason;
  tokenIds: readonly number[];
  text: string;
  positions: readonly RecordedPosition[];
}

export type AnswerEvent =
  | { type: "start"; promptIds: readonly number[]; maxTokens: number }
  | { type: "token"; token: TextToken }
  | ({ type: "end" } & Answer);

/**
 * The events of one answer. The texts of the tokens joined are the text of the end. Refusals (too long, overloaded …) are thrown
 * before `start`; when the signal fires later, the end says `cancelled` and carries what there is.
 */
export async function* answer(
  engine: InferenceEngine,
  request: AnswerRequest,
  signal?: AbortSignal,
): AsyncGenerator<AnswerEvent> {
  const promptIds = await engine.render(request.input);
  const maxTokens = request.maxTokens ?? remainingTokens(engine, promptIds.length);
  const recordTop = Math.max(request.recordTop, request.topLogprobs);
  const tokens = engine
    .generate({ promptIds, maxTokens, sampling: request.sampling, seed: request.seed, top: recordTop }, signal)
    [Symbol.asyncIterator]();

  // The first token is awaited before `start`, so that a refusal is still an ordinary error reply.
  let next = await tokens.next();
  yield { type: "start", promptIds, maxTokens };

  const stopTokens = new Set(engine.vocabulary.stopTokenIds);
  const assembler = new TextAssembler(request.stop);
  const tokenIds: number[] = [];
  const positions: RecordedPosition[] = [];
  let finishReason: FinishReason | undefined;
  try {
    while (!next.done && finishReason === undefined) {
      const token: GeneratedToken = next.value;
      tokenIds.push(token.id);
      positions.push({ id: token.id, logprob: token.logprob, top: token.top.slice(0, request.recordTop) });
      const isStop = stopTokens.has(token.id);
      let text = isStop ? "" : assembler.push(engine.vocabulary.bytesOf(token.id));
      if (isStop) finishReason = "stop";
      else if (assembler.stopped) finishReason = "stop_sequence";
      else if (tokenIds.length === maxTokens) finishReason = "length";
      if (finishReason !== undefined) text += assembler.finish();
      // The last bytes, made whole by the end of the text, may complete a stop sequence too.
      if (finishReason === "length" && assembler.stopped) finishReason = "stop_sequence";
      yield { type: "token", token: describe(engine, token, text, request.topLogprobs) };
      if (finishReason === undefined) next = await tokens.next();
    }
  } catch (error) {
    if (!isKaratError(error, "cancelled")) throw error;
    finishReason = "cancelled";
    assembler.finish();
  } finally {
    await tokens.return?.();
  }
  if (finishReason === undefined) throw new KaratError("engine_failed", "the engine ended the answer early");
  yield { type: "end", promptIds, maxTokens, finishReason, tokenIds, text: assembler.text, positions };
}

function remainingTokens(engine: InferenceEngine, promptTokens: number): number {
  const remaining = engine.info().contextLength - 1 - promptTokens;
  return Math.max(1, Math.min(DEFAULT_MAX_TOKENS, remaining)); // a full context is refused by the engine
}

function describe(engine: InferenceEngine, token: GeneratedToken, text: string, topLogprobs: number): TextToken {
  const alternative = ({ id, logprob }: TokenLogprob): TokenAlternative => ({
    id,
    token: engine.vocabulary.nameOf(id),
    bytes: [...engine.vocabulary.bytesOf(id)],
    logprob,
  });
  return { ...alternative(token), text, top: token.top.slice(0, topLogprobs).map(alternative) };
}

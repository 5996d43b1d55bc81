/** From a request to an answer: renders the prompt, runs the engine, assembles the text, decides why it ended. */
import { isKaratError, KaratError } from "@karat/common";
import type { TextToken, TokenAlternative } from "@karat/common/openai";
import type { Constraint, SamplingParams } from "@karat/rules";
import type { GeneratedToken, InferenceEngine, PromptInput, TokenLogprob } from "../engine/engine.ts";
import { TextAssembler } from "./textAssembler.ts";

/** Answer length when the request names none, as far as the context allows. */
export const DEFAULT_MAX_TOKENS = 512;

export interface AnswerRequest {
  input: PromptInput;
  maxTokens?: number;
  stop: readonly string[];
  constraint?: Constraint;
  sampling: SamplingParams;
  /** 32 bytes. */
  seed: Uint8Array;
  /** Alternatives to show with each token, 0…20. */
  topLogprobs: number;
  /** Alternatives to record at each position. */
  recordTop: number;
  /** Tokens of the answer that another executor gave: the answer goes on behind them, and they count as prompt. */
  prefixIds?: readonly number[];
  /** Whether `start` comes as soon as the engine has taken the job, rather than with the first token. */
  earlyStart?: boolean;
}

export type FinishReason = "stop" | "length" | "stop_sequence" | "cancelled";

/** What the engine reported at one position. */
export interface RecordedPosition extends TokenLogprob {
  top: readonly TokenLogprob[];
}

export interface Answer {
  /** With the prefix, where there is one. */
  promptIds: readonly number[];
  /** Of the whole answer. */
  maxTokens: number;
  finishReason: FinishReason;
  tokenIds: readonly number[];
  text: string;
  positions: readonly RecordedPosition[];
}

/** What a prefix says: its bytes, and how many characters of its text were told with it. */
export interface PrefixText {
  readonly bytes: Uint8Array;
  readonly told: number;
}

export type AnswerEvent =
  | { type: "start"; promptIds: readonly number[]; maxTokens: number; prefix?: PrefixText }
  | { type: "token"; token: TextToken }
  | ({ type: "end" } & Answer);

/**
 * The events of one answer. The texts of the tokens joined are the text of the end. Refusals (too long, overloaded …) are thrown
 * before `start`; when the signal fires later, the end says `cancelled` and carries what there is. Behind a prefix, ids, text and
 * positions are those that follow it; text that its executor held back comes with the first of them.
 */
export async function* answer(
  engine: InferenceEngine,
  request: AnswerRequest,
  signal?: AbortSignal,
): AsyncGenerator<AnswerEvent> {
  const rendered = await engine.render(request.input);
  const { prefixIds = [], sampling, seed, constraint } = request;
  const promptIds = [...rendered, ...prefixIds];
  const maxTokens = request.maxTokens ?? remainingTokens(engine, rendered.length);
  const top = Math.max(request.recordTop, request.topLogprobs);
  const assembler = assemblerBehind(engine, prefixIds, request.stop);
  const { text: given } = assembler;
  const accepted = Promise.withResolvers<void>();
  const job = {
    promptIds: rendered,
    prefixIds,
    maxTokens,
    sampling,
    ...(constraint ? { constraint } : {}),
    seed,
    top,
    onAccepted: accepted.resolve,
  };
  const tokens = engine.generate(job, signal)[Symbol.asyncIterator]();

  // Awaited before `start`, so that a refusal is still an ordinary error reply.
  const first = tokens.next();
  if (request.earlyStart) await Promise.race([accepted.promise, first]);
  else await first;
  first.catch(() => undefined); // whoever leaves at `start` does not see it
  const bytes = Uint8Array.from(prefixIds.flatMap((id) => [...engine.vocabulary.bytesOf(id)]));
  yield { type: "start", promptIds, maxTokens, ...(bytes.length > 0 ? { prefix: { bytes, told: given.length } } : {}) };

  const stopTokens = new Set(engine.vocabulary.stopTokenIds);
  const tokenIds: number[] = [];
  const positions: RecordedPosition[] = [];
  let finishReason: FinishReason | undefined;
  try {
    let next = await first;
    while (!next.done && finishReason === undefined) {
      const token: GeneratedToken = next.value;
      tokenIds.push(token.id);
      positions.push({ id: token.id, logprob: token.logprob, top: token.top.slice(0, request.recordTop) });
      const isStop = stopTokens.has(token.id);
      let text = isStop ? "" : assembler.push(engine.vocabulary.bytesOf(token.id));
      if (isStop) finishReason = "stop";
      else if (assembler.stopped) finishReason = "stop_sequence";
      else if (prefixIds.length + tokenIds.length === maxTokens) finishReason = "length";
      if (finishReason !== undefined) text += assembler.finish();
      // The last bytes, made whole by the end of the text, may complete a stop sequence too.
      if (finishReason === "length" && assembler.stopped) finishReason = "stop_sequence";
      yield { type: "token", token: describe(engine, token, text, request.topLogprobs) };
      if (finishReason === undefined) next = await tokens.next();
    }
  } catch (error) {
    if (!isKaratError(error, "cancelled") || tokenIds.length === 0) throw error;
    finishReason = "cancelled";
    assembler.finish();
  } finally {
    await tokens.return?.();
  }
  if (finishReason === undefined) throw new KaratError("engine_failed", "the engine ended the answer early");
  yield {
    type: "end",
    promptIds,
    maxTokens,
    finishReason,
    tokenIds,
    text: assembler.text.slice(given.length),
    positions,
  };
}

/** The state in which the executor of the prefix left the text. Throws `invalid_request` when its answer had ended already. */
export function assemblerBehind(
  { vocabulary }: InferenceEngine,
  prefixIds: readonly number[],
  stop: readonly string[],
): TextAssembler {
  const assembler = new TextAssembler(stop);
  for (const id of prefixIds) {
    if (id >= vocabulary.size || vocabulary.stopTokenIds.includes(id)) throw endedPrefix();
    assembler.push(vocabulary.bytesOf(id));
    if (assembler.stopped) throw endedPrefix();
  }
  return assembler;
}

const endedPrefix = (): KaratError =>
  new KaratError("invalid_request", "prefix_token_ids: not the beginning of an answer that goes on", {
    param: "prefix_token_ids",
  });

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

/**
 * What the ML node asks of an inference engine. Everything above this interface (HTTP, artifacts, verdicts) is the
 * same for every engine, and every engine passes `conformance.ts`.
 */
import type { Constraint, SamplingParams } from "@karat/rules";

/** One message of a chat; the content is plain text and is never read as control tokens. */
export interface ChatMessage {
  role: "system" | "developer" | "user" | "assistant" | "tool";
  content: string;
}

/**
 * What is to be continued: a chat, a text, or token ids. A text that is `whole` is not continued but embedded: some models want a token
 * behind it.
 */
export type PromptInput =
  | { messages: readonly ChatMessage[] }
  | { prompt: string | readonly number[]; whole?: boolean };

export interface ModelInfo {
  /** The name under which the model is declared and priced. */
  id: string;
  /** SHA-256 of the weights file, lower-case hex. */
  weightsSha256: string;
  /** Storage type of the weight matrices, as GGUF calls it: "f16", "q8_0", "q4_0" … */
  quantization: string;
  /** Largest number of tokens of prompt and answer together, plus one. */
  contextLength: number;
  vocabularySize: number;
  engine: string;
  /** Name and version of the engine's code. */
  build: string;
  /** Jobs that run at the same time; further ones wait, then are refused. */
  capacity: number;
  /** Components of a text's vector; absent where the engine gives none. */
  embeddingDimensions?: number;
}

/** The tokens of a model as bytes. Control tokens have a name and no bytes. */
export interface Vocabulary {
  readonly size: number;
  /** Length in bytes of the longest token. */
  readonly longest: number;
  /** Tokens that end an answer, ascending. */
  readonly stopTokenIds: readonly number[];
  /** The bytes a token adds to the text; empty for control tokens. Throws a RangeError outside the vocabulary. */
  bytesOf(id: number): Uint8Array;
  /** A readable form: the text of the bytes, or the name of a control token. */
  nameOf(id: number): string;
}

/** Raw log-probability (nats, over the whole vocabulary, before temperature and penalties). */
export interface TokenLogprob {
  id: number;
  logprob: number;
}

export interface GenerateJob {
  promptIds: readonly number[];
  /** Upper bound of the answer with its prefix, 1 or more; prompt and answer must fit the context. */
  maxTokens: number;
  sampling: SamplingParams;
  /** Which tokens may be chosen at all; engines that cannot say so throw `unsupported_constraint`. */
  constraint?: Constraint;
  /** 32 bytes; with the logits, the seed decides every token. */
  seed: Uint8Array;
  /** How many of the most likely tokens to report at each position, 0…64. */
  top: number;
  /** Tokens of the answer that are there already; the sampler goes on behind them, at position `prefixIds.length`. */
  prefixIds?: readonly number[];
  /** Called once the job can no longer be refused: it runs, or waits for its turn. */
  onAccepted?: () => void;
}

export interface GeneratedToken extends TokenLogprob {
  /** The most likely tokens, descending. */
  top: readonly TokenLogprob[];
}

/** What an answer was held to; `prefixIds` are its tokens before the ones in question, which stand in the prompt. */
export interface ConstrainedAnswer {
  readonly constraint: Constraint;
  readonly maxTokens: number;
  readonly prefixIds?: readonly number[];
}

export interface ScoreJob {
  promptIds: readonly number[];
  outputIds: readonly number[];
  /** How many of the most likely tokens to report at each output position, 0…128. */
  top: number;
  /** The request's constraint with its maximum of tokens: at each position, the `top` most likely of the tokens it allows come along. */
  constrained?: ConstrainedAnswer;
}

export interface EmbedJob {
  /** Token ids of each text, as `render` gives them for one that is whole. */
  inputs: readonly (readonly number[])[];
  /** As of a GenerateJob. */
  onAccepted?: () => void;
}

/** The model's own view of one output position: most likely tokens first; the output id is included. */
export type PositionLogprobs = readonly TokenLogprob[];

/** `ready`: serving. `starting`: not yet, or again. `failed`: the engine does not come up. */
export type EngineState = "starting" | "ready" | "failed" | "closed";

/**
 * Errors are KaratErrors: `context_length_exceeded` {prompt_tokens, max_tokens, context_length}, `overloaded` {retry_after_s},
 * `engine_died`, `engine_unavailable`, `model_load_failed`, `invalid_prompt`, `unsupported_constraint` {param}, `invalid_request` {param} where
 * the engine gives no vectors, `cancelled`.
 */
export interface InferenceEngine {
  readonly vocabulary: Vocabulary;
  info(): ModelInfo;
  state(): EngineState;
  /** Jobs running and waiting now. */
  load(): { running: number; waiting: number };
  /** Token ids of a chat (by the model's own template) or of a text. */
  render(input: PromptInput): Promise<number[]>;
  /**
   * Yields the tokens of an answer as they are made and ends after a stop token (which is yielded) or at `maxTokens`.
   * Leaving the loop or aborting the signal frees the engine at the next token.
   */
  generate(job: GenerateJob, signal?: AbortSignal): AsyncIterable<GeneratedToken>;
  /** One teacher-forced prefill of prompt and output: one entry for each output token. */
  score(job: ScoreJob, signal?: AbortSignal): Promise<PositionLogprobs[]>;
  /** For each input its vector, of length 1 and of `info().embeddingDimensions`: the model's state at the input's last token. One job. */
  embed(job: EmbedJob, signal?: AbortSignal): Promise<Float32Array[]>;
  close(): Promise<void>;
}

/** What every engine refuses before it evaluates anything. */
import { KaratError } from "@karat/common";
import type { EmbedJob, GenerateJob, PromptInput, ScoreJob, Vocabulary } from "./engine.ts";

export class JobChecks {
  readonly #vocabulary: Vocabulary;
  readonly #contextLength: number;

  constructor(vocabulary: Vocabulary, contextLength: number) {
    this.#vocabulary = vocabulary;
    this.#contextLength = contextLength;
  }

  generate({ promptIds, prefixIds = [], maxTokens }: GenerateJob): void {
    this.ids(promptIds);
    this.#length(promptIds.length, maxTokens);
    this.#prefix(prefixIds, maxTokens);
  }

  score({ promptIds, outputIds }: ScoreJob): void {
    this.ids(promptIds);
    this.ids(outputIds);
    this.#length(promptIds.length, outputIds.length);
  }

  /** Each by itself fits the context, with room for the token that it would be continued by. */
  embed({ inputs }: EmbedJob): void {
    if (inputs.length === 0) throw invalidPrompt("there are no inputs");
    for (const ids of inputs) {
      this.ids(ids);
      this.#inputLength(ids.length);
    }
  }

  /** A text that cannot fit however it is tokenised is not worth the engine's time. */
  input(input: PromptInput): void {
    if ("prompt" in input && typeof input.prompt !== "string") {
      this.ids(input.prompt);
    } else {
      const texts = "messages" in input ? input.messages.map(({ content }) => content) : [String(input.prompt)];
      const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
      const least = Math.floor(bytes / this.#vocabulary.longest);
      if ("whole" in input && input.whole) this.#inputLength(least);
      else this.#length(least, 1);
    }
  }

  /** One token at least, all of the vocabulary. */
  ids(ids: readonly number[]): void {
    if (ids.length === 0) throw invalidPrompt("there are no tokens");
    const size = this.#vocabulary.size;
    if (!ids.every((id) => Number.isInteger(id) && id >= 0 && id < size)) {
      throw invalidPrompt("a token id is outside the vocabulary");
    }
  }

  /** An answer that has ended cannot be continued. */
  #prefix(ids: readonly number[], maxTokens: number): void {
    if (ids.length === 0) return;
    this.ids(ids);
    if (ids.length >= maxTokens) throw invalidPrompt("the prefix leaves no token to generate");
    const stops = this.#vocabulary.stopTokenIds;
    if (ids.some((id) => stops.includes(id))) throw invalidPrompt("a stop token is in the prefix");
  }

  #inputLength(tokens: number): void {
    const most = this.#contextLength - 2;
    if (tokens <= most) return;
    throw new KaratError(
      "context_length_exceeded",
      `This model's maximum input length is ${most} tokens; an input has ${tokens}.`,
      { prompt_tokens: tokens, max_tokens: 1, context_length: this.#contextLength, param: "input" },
    );
  }

  /** llama.cpp would silently drop the beginning of what does not fit, so it is refused before evaluation. */
  #length(promptTokens: number, outputTokens: number): void {
    const contextLength = this.#contextLength;
    if (outputTokens >= 1 && promptTokens + outputTokens <= contextLength - 1) return;
    throw new KaratError(
      "context_length_exceeded",
      `This model's maximum context length is ${contextLength - 1} tokens; the request asks for ${promptTokens} in the prompt and ${outputTokens} in the answer.`,
      { prompt_tokens: promptTokens, max_tokens: outputTokens, context_length: contextLength },
    );
  }
}

export const noEmbeddings = (): KaratError =>
  new KaratError("invalid_request", "This model's engine gives no embeddings.", { param: "input" });

export const invalidPrompt = (reason: string): KaratError =>
  new KaratError("invalid_prompt", "the prompt cannot be used", { reason });

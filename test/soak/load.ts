/** Clients: plain and streamed requests and embeddings, so many at once, each with what became of it. */
import { setTimeout as sleep } from "node:timers/promises";
import OpenAI from "openai";
import { midStream, type Parts } from "../e2e/midStream.ts";
import { Random } from "../simulation/random.ts";

export interface Outcome {
  readonly streamed: boolean;
  /** `broken`: a stream that ended with an error event behind its first token. `failed`: everything else that is no answer. */
  readonly result: "answered" | "broken" | "failed";
  readonly code: string;
  readonly inferenceId: string | undefined;
  readonly executor: string | undefined;
  readonly attempts: number;
  /** Inference ids of what executors gave between them, in order; empty when one gave all. */
  readonly parts: readonly string[];
  readonly fromMs: number;
  readonly untilMs: number;
}

export interface LoadOptions {
  readonly endpoint: string;
  readonly apiKey: string;
  readonly model: string;
  readonly requests: number;
  readonly concurrency: number;
  readonly seed: string;
  /** Most requests begun in a second; as many as get through when left out. */
  readonly perSecond?: number;
}

/** Most patience of a client; longer than the longest silence an API node allows an executor. */
const CLIENT_TIMEOUT_MS = 120_000;

export class Load {
  readonly outcomes: Outcome[] = [];
  /** Streams that were asked for to be in the middle when a fault comes. */
  readonly caught: Outcome[] = [];
  readonly #options: LoadOptions;
  readonly #openai: OpenAI;
  readonly #random: Random;

  constructor(options: LoadOptions) {
    this.#options = options;
    const { endpoint: baseURL, apiKey, seed } = options;
    this.#openai = new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: CLIENT_TIMEOUT_MS });
    this.#random = new Random(`load ${seed}`);
  }

  async run(): Promise<void> {
    const { requests, concurrency, perSecond } = this.#options;
    const began = performance.now();
    let next = 0;
    const client = async (): Promise<void> => {
      while (next < requests) {
        const index = next++;
        const early = perSecond ? began + (1_000 * index) / perSecond - performance.now() : 0;
        if (early > 0) await sleep(early);
        this.outcomes.push(await this.#ask(index));
      }
    };
    await Promise.all(Array.from({ length: concurrency }, client));
  }

  /** Resolves in the middle of a stream that this executor gives; what it resolves to reads on to the end. */
  async caughtBy(executor: string): Promise<() => Promise<void>> {
    const fromMs = performance.now();
    const { inferenceId, rest } = await midStream({ openai: this.#openai, model: this.#options.model, executor });
    return async () => {
      const told = { streamed: true, inferenceId, executor, attempts: 1, fromMs };
      try {
        const { karat } = await rest();
        const parts = (karat?.parts ?? []).map((part) => part.inference_id);
        this.caught.push({ ...told, result: "answered", code: "ok", parts, untilMs: performance.now() });
      } catch (error) {
        this.caught.push({ ...told, result: "broken", code: codeOf(error), parts: [], untilMs: performance.now() });
      }
    };
  }

  async #ask(index: number): Promise<Outcome> {
    const streamed = this.#random.percent(50);
    const embeds = !streamed && this.#random.percent(20);
    const body = {
      model: this.#options.model,
      messages: [{ role: "user" as const, content: `What does os.rename() do? (${index})` }],
      // Mostly short, and some that a fault finds in the middle.
      max_tokens: this.#random.percent(5) ? 200 : this.#random.between(1, 12),
    };
    const fromMs = performance.now();
    let headers: Headers | undefined;
    let parts: readonly string[] = [];
    const see = (answer: object): void => {
      const karat = "karat" in answer ? (answer.karat as Parts) : undefined;
      parts = karat?.parts?.map((part) => part.inference_id) ?? parts;
    };
    const outcome = (result: Outcome["result"], code: string): Outcome => ({
      streamed,
      result,
      code,
      inferenceId: headers?.get("x-karat-inference-id") ?? undefined,
      executor: headers?.get("x-karat-executor") ?? undefined,
      attempts: Number(headers?.get("x-karat-attempts") ?? 0),
      parts,
      fromMs,
      untilMs: performance.now(),
    });
    try {
      if (streamed) {
        const { data, response } = await this.#openai.chat.completions.create({ ...body, stream: true }).withResponse();
        headers = response.headers;
        let reason: string | null = null;
        for await (const chunk of data) {
          reason = chunk.choices[0]?.finish_reason ?? reason;
          see(chunk);
        }
        return reason ? outcome("answered", "ok") : outcome("failed", "no_finish_reason");
      }
      if (embeds) {
        const { model } = this.#options;
        const input = [`What does os.rename() do? (${index})`, "And os.replace()?"];
        const { data, response } = await this.#openai.embeddings.create({ model, input }).withResponse();
        headers = response.headers;
        return data.data.length === input.length ? outcome("answered", "ok") : outcome("failed", "too_few_vectors");
      }
      const { data, response } = await this.#openai.chat.completions.create(body).withResponse();
      headers = response.headers;
      see(data);
      return data.choices[0]?.finish_reason ? outcome("answered", "ok") : outcome("failed", "no_finish_reason");
    } catch (error) {
      return outcome(headers ? "broken" : "failed", codeOf(error));
    }
  }
}

const codeOf = (error: unknown): string =>
  error instanceof OpenAI.APIError ? (error.code ?? error.constructor.name) : String(error);

/** The embedded engine: llama.cpp (node-llama-cpp) on a GGUF file, in a child process. */
import { KaratError, type Logger, silentLogger } from "@karat/common";
import { Channel } from "../channel.ts";
import type {
  EmbedJob,
  EngineState,
  GeneratedToken,
  GenerateJob,
  InferenceEngine,
  ModelInfo,
  PositionLogprobs,
  PromptInput,
  ScoreJob,
  Vocabulary,
} from "../engine.ts";
import { invalidPrompt, JobChecks, noEmbeddings } from "../jobChecks.ts";
import { sha256OfFile } from "../modelHash.ts";
import { cancelled, Slots, throwIfCancelled } from "../slots.ts";
import { quantizationOf, readGgufHeader } from "./gguf.ts";
import { type KvCacheType, unpackPositions } from "./messages.ts";
import { type Backoff, Supervisor } from "./supervisor.ts";
import { vocabularyOf } from "./vocabulary.ts";

export interface LlamaEngineOptions {
  /** Path of the GGUF file. */
  modelPath: string;
  /** Name under which the model is declared. */
  id: string;
  /** Tokens of prompt and answer together; the model's own limit is never exceeded. Default 4096. */
  contextSize?: number;
  /** Jobs that decode together in one batch. Default 4. */
  sequences?: number;
  /** Jobs that may wait for a sequence; further ones are refused with `overloaded`. Default 32. */
  maxWaiting?: number;
  batchSize?: number;
  /** Default 1: more threads cost a small model far more than they give, and never change a number. */
  threads?: number;
  /**
   * Default false. With it, llama.cpp on a CPU rounds batches of 64 rows and more otherwise than single tokens, the difference grows with the
   * context, and behind prompts of some hundred tokens honest answers look like another model's. Without it, no batch shape matters.
   */
  flashAttention?: boolean;
  /** Default f16. A profile holds for one type only. */
  kvCache?: KvCacheType;
  /** One CPU build of llama.cpp instead of the best for this machine: `cpuVariant.ts`. */
  cpuVariant?: string;
  backoff?: Backoff;
  logger?: Logger;
}

/** The embedded engine also tells its process id and how often it had to be restarted. */
export interface LlamaEngine extends InferenceEngine {
  readonly pid: number | undefined;
  readonly restarts: number;
}

/** Validates and hashes the file, starts the child and waits for the model. Throws `invalid_gguf` or `model_load_failed`. */
export async function createLlamaEngine(options: LlamaEngineOptions): Promise<LlamaEngine> {
  const header = await readGgufHeader(options.modelPath);
  const weightsSha256 = await sha256OfFile(options.modelPath);
  const sequences = options.sequences ?? 4;
  const supervisor = new Supervisor(
    {
      modelPath: options.modelPath,
      contextSize: options.contextSize ?? 4096,
      sequences,
      batchSize: options.batchSize ?? 512,
      threads: options.threads ?? 1,
      // Quantised values cannot be read without it.
      flashAttention: options.flashAttention ?? options.kvCache === "q8_0",
      ...(options.kvCache === undefined ? {} : { kvCache: options.kvCache }),
      ...(options.cpuVariant === undefined ? {} : { cpuVariant: options.cpuVariant }),
    },
    options.logger ?? silentLogger,
    options.backoff ?? { firstMs: 250, maxMs: 30_000 },
  );
  try {
    const ready = await supervisor.ready();
    const vocabulary = vocabularyOf(header, ready.stopTokenIds);
    const info: ModelInfo = {
      id: options.id,
      weightsSha256,
      quantization: quantizationOf(header),
      contextLength: ready.contextSize,
      vocabularySize: vocabulary.size,
      engine: "llama",
      build: ready.build,
      capacity: sequences,
      ...(ready.embeddingDimensions === undefined ? {} : { embeddingDimensions: ready.embeddingDimensions }),
    };
    return new EmbeddedEngine(info, vocabulary, supervisor, new Slots(sequences, options.maxWaiting ?? 32));
  } catch (cause) {
    await supervisor.close();
    if (cause instanceof KaratError && cause.code !== "engine_unavailable") throw cause;
    throw new KaratError("model_load_failed", "the engine cannot load the model", { path: options.modelPath }, cause);
  }
}

class EmbeddedEngine implements LlamaEngine {
  readonly vocabulary: Vocabulary;
  readonly #info: ModelInfo;
  readonly #supervisor: Supervisor;
  readonly #slots: Slots;
  readonly #checks: JobChecks;

  constructor(info: ModelInfo, vocabulary: Vocabulary, supervisor: Supervisor, slots: Slots) {
    this.#info = info;
    this.vocabulary = vocabulary;
    this.#supervisor = supervisor;
    this.#slots = slots;
    this.#checks = new JobChecks(vocabulary, info.contextLength);
  }

  get pid(): number | undefined {
    return this.#supervisor.pid;
  }

  get restarts(): number {
    return this.#supervisor.restarts;
  }

  info(): ModelInfo {
    return this.#info;
  }

  state(): EngineState {
    return this.#supervisor.state;
  }

  load(): { running: number; waiting: number } {
    return this.#slots.load;
  }

  async render(input: PromptInput): Promise<number[]> {
    this.#checks.input(input);
    await this.#supervisor.ready();
    const { promise, resolve, reject } = Promise.withResolvers<number[]>();
    this.#supervisor.submit(
      { type: "render", input },
      {
        onReply: (reply) => {
          if (reply.type === "ids") resolve(reply.ids);
          else if (reply.type === "error") reject(invalidPrompt(reply.message));
        },
        onDeath: reject,
      },
    );
    const ids = await promise;
    if (ids.length === 0) throw invalidPrompt("the prompt is empty");
    return ids;
  }

  async *generate(job: GenerateJob, signal?: AbortSignal): AsyncGenerator<GeneratedToken> {
    this.#checks.generate(job);
    const tokens = new Channel<GeneratedToken>(); // holds at most maxTokens
    const { prefixIds = [], onAccepted, ...sent } = job;
    const stop = await this.#submit(
      { type: "generate", prefixIds, ...sent },
      (reply) => {
        if (reply.type === "token") tokens.push(reply.token);
      },
      (error) => tokens.end(error),
      signal,
      onAccepted,
    );
    try {
      for await (const token of tokens) {
        throwIfCancelled(signal);
        yield token;
      }
    } finally {
      stop();
    }
  }

  async score(job: ScoreJob, signal?: AbortSignal): Promise<PositionLogprobs[]> {
    this.#checks.score(job);
    const { promise, resolve, reject } = Promise.withResolvers<PositionLogprobs[]>();
    await this.#submit(
      { type: "score", ...job },
      (reply) => {
        if (reply.type === "positions") resolve(unpackPositions(reply.positions));
      },
      (error) => reject(error ?? cancelled()),
      signal,
    );
    return promise;
  }

  async embed({ inputs, onAccepted }: EmbedJob, signal?: AbortSignal): Promise<Float32Array[]> {
    if (this.#info.embeddingDimensions === undefined) throw noEmbeddings();
    this.#checks.embed({ inputs });
    const { promise, resolve, reject } = Promise.withResolvers<Float32Array[]>();
    await this.#submit(
      { type: "embed", inputs },
      (reply) => {
        if (reply.type === "vectors") resolve(reply.vectors);
      },
      (error) => reject(error ?? cancelled()),
      signal,
      onAccepted,
    );
    return promise;
  }

  async close(): Promise<void> {
    await this.#supervisor.close();
  }

  /**
   * Takes a slot and starts a job. The slot is given back when the child says that the sequence is free, not when the caller
   * loses interest. `onEnd` is called once, with an error unless the job ended by itself. The result cancels the job.
   */
  async #submit(
    request: Parameters<Supervisor["submit"]>[0],
    onReply: (reply: Parameters<Parameters<Supervisor["submit"]>[1]["onReply"]>[0]) => void,
    onEnd: (error?: KaratError) => void,
    signal: AbortSignal | undefined,
    onAccepted?: () => void,
  ): Promise<() => void> {
    const release = await this.#slots.acquire(signal, onAccepted);
    let job: number;
    try {
      await this.#supervisor.ready(signal);
      throwIfCancelled(signal);
      let failure: KaratError | undefined;
      job = this.#supervisor.submit(request, {
        onReply: (reply) => {
          if (reply.type === "error") failure = new KaratError(reply.code, reply.message);
          onReply(reply);
          if (reply.type !== "done") return;
          release();
          signal?.removeEventListener("abort", onAbort);
          onEnd(failure ?? (signal?.aborted ? cancelled() : undefined));
        },
        onDeath: (error) => {
          release();
          signal?.removeEventListener("abort", onAbort);
          onEnd(error);
        },
      });
    } catch (error) {
      release();
      throw error;
    }
    const onAbort = (): void => this.#supervisor.cancel(job);
    signal?.addEventListener("abort", onAbort, { once: true });
    return onAbort;
  }
}

/** The engine behind HTTP: a vLLM, SGLang or llama-server that somebody runs. Sampling, rendering and scoring are ours as everywhere. */
import { KaratError } from "@karat/common";
import { type Constraint, sample } from "@karat/rules";
import type {
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
import { JobChecks, noEmbeddings } from "../jobChecks.ts";
import { cancelled, Slots, throwIfCancelled } from "../slots.ts";
import type { Backend, Capabilities, ServerAddress, ServerKind } from "./backend.ts";
import { connectLlamaServer } from "./llamaServer.ts";
import { type ModelFiles, readModelFiles } from "./modelFiles.ts";
import { ChatRenderer } from "./render.ts";
import { connectSglang } from "./sglang.ts";
import { connectVllm } from "./vllm.ts";

/** The sampler's allowed set is drawn from this many raw log-probabilities. */
const SAMPLING_TOP = 64;

export interface OpenAiEngineOptions extends ServerAddress {
  /** GGUF file or Hugging Face folder of the model that the server serves: its tokens, its template, its weights' identity. */
  readonly modelPath: string;
  /** Instead of hashing the weights. */
  readonly weightsSha256?: string;
  /** Name under which the model is declared. */
  readonly id: string;
  /** Tokens of prompt and answer together, at most what the server allows. */
  readonly contextSize?: number;
  /** Jobs that run at the same time. Default 4. */
  readonly sequences?: number;
  /** Jobs that may wait; further ones are refused with `overloaded`. Default 32. */
  readonly maxWaiting?: number;
}

/** The engine also tells what it found. */
export interface OpenAiEngine extends InferenceEngine {
  readonly server: ServerKind;
  readonly capabilities: Capabilities;
}

/**
 * Throws `engine_unavailable` when nothing answers, `engine_unknown` for a server that is none of those known, `engine_unsupported` {reason, remedy}
 * for one that lacks a setting, and what `readModelFiles` throws.
 */
export async function createOpenAiEngine(options: OpenAiEngineOptions): Promise<OpenAiEngine> {
  const backend = await detect(options);
  if (options.serverSamples && backend.capabilities.generation !== "server") {
    throw new KaratError("engine_unsupported", "this inference server cannot choose tokens in a way that is checked", {
      reason: `${backend.kind} is asked for each token`,
      remedy: "leave out --server-samples",
    });
  }
  const files = await readModelFiles(options.modelPath, options.weightsSha256);
  return new HttpEngine(options, backend, files);
}

async function detect(address: ServerAddress): Promise<Backend> {
  for (const connect of [connectVllm, connectSglang, connectLlamaServer]) {
    const backend = await connect(address);
    if (backend) return backend;
  }
  throw new KaratError("engine_unknown", "the server is no vLLM, SGLang or llama-server: others take no token ids", {
    base_url: address.baseUrl,
  });
}

class HttpEngine implements OpenAiEngine {
  readonly vocabulary: Vocabulary;
  readonly #backend: Backend;
  readonly #info: ModelInfo;
  readonly #renderer: ChatRenderer;
  readonly #bosTokenId: number | undefined;
  readonly #slots: Slots;
  readonly #checks: JobChecks;
  readonly #closed = new AbortController();

  constructor(options: OpenAiEngineOptions, backend: Backend, files: ModelFiles) {
    this.vocabulary = files.vocabulary;
    this.#backend = backend;
    this.#renderer = new ChatRenderer(files);
    this.#bosTokenId = files.bosTokenId;
    const capacity = options.sequences ?? 4;
    this.#slots = new Slots(capacity, options.maxWaiting ?? 32);
    this.#info = {
      id: options.id,
      weightsSha256: files.weightsSha256,
      quantization: files.quantization,
      contextLength: Math.min(options.contextSize ?? backend.contextLength, backend.contextLength),
      vocabularySize: files.vocabulary.size,
      engine: backend.kind,
      build: backend.build,
      capacity,
    };
    this.#checks = new JobChecks(this.vocabulary, this.#info.contextLength);
  }

  get server(): ServerKind {
    return this.#backend.kind;
  }

  get capabilities(): Capabilities {
    return this.#backend.capabilities;
  }

  info(): ModelInfo {
    return this.#info;
  }

  state(): EngineState {
    return this.#closed.signal.aborted ? "closed" : "ready";
  }

  load(): { running: number; waiting: number } {
    return this.#slots.load;
  }

  async render(input: PromptInput): Promise<number[]> {
    this.#checks.input(input);
    const ids = "messages" in input ? await this.#renderChat(input.messages) : await this.#renderText(input.prompt);
    this.#checks.ids(ids);
    return ids;
  }

  async *generate(job: GenerateJob, signal?: AbortSignal): AsyncGenerator<GeneratedToken> {
    this.#checks.generate(job);
    refuseConstraint(job.constraint);
    const release = await this.#slots.acquire(signal, job.onAccepted);
    const leaving = new AbortController();
    const ends = anyOf(leaving.signal, this.#closed.signal, signal);
    try {
      const tokens = this.#backend.generate?.(job, this.vocabulary.stopTokenIds, ends) ?? this.#byToken(job, ends);
      for await (const token of tokens) {
        throwIfCancelled(signal);
        yield token;
      }
      // A stream that is aborted just ends.
      throwIfCancelled(ends);
    } finally {
      leaving.abort();
      release();
    }
  }

  async score(job: ScoreJob, signal?: AbortSignal): Promise<PositionLogprobs[]> {
    this.#checks.score(job);
    refuseConstraint(job.constrained?.constraint);
    const release = await this.#slots.acquire(signal);
    try {
      const ends = anyOf(this.#closed.signal, signal);
      return await this.#backend.positions(job.promptIds, job.outputIds, job.top, ends);
    } finally {
      release();
    }
  }

  /** These servers embed only when they are started to do nothing else. */
  async embed(): Promise<never> {
    throw noEmbeddings();
  }

  async close(): Promise<void> {
    this.#closed.abort(cancelled());
  }

  /** One call for each token: the server says what is likely, the seed decides. */
  async *#byToken(job: GenerateJob, signal: AbortSignal): AsyncGenerator<GeneratedToken> {
    const { promptIds, prefixIds = [], maxTokens, sampling, seed, top } = job;
    const ids = [...promptIds, ...prefixIds];
    const counts = new Map<number, number>();
    for (const id of prefixIds) counts.set(id, (counts.get(id) ?? 0) + 1);
    for (let position = prefixIds.length; position < maxTokens; position++) {
      const likely = await this.#backend.next(ids, SAMPLING_TOP, signal);
      const logits = likely.map(({ id, logprob }) => [id, logprob] as const);
      const id = sample(sampling, seed, position, logits, counts);
      yield { ...likely.find((entry) => entry.id === id)!, top: likely.slice(0, top) };
      if (this.vocabulary.stopTokenIds.includes(id)) return;
      counts.set(id, (counts.get(id) ?? 0) + 1);
      ids.push(id);
    }
  }

  #renderChat(messages: Extract<PromptInput, { messages: unknown }>["messages"]): Promise<number[]> {
    return this.#renderer.render(messages, (text) => this.#tokenize(text));
  }

  async #renderText(prompt: string | readonly number[]): Promise<number[]> {
    if (typeof prompt !== "string") return [...prompt];
    const ids = await this.#tokenize(prompt);
    return this.#bosTokenId === undefined ? ids : [this.#bosTokenId, ...ids];
  }

  async #tokenize(text: string): Promise<number[]> {
    const parts = this.#backend.readsControlTokens ? this.#renderer.plain(text) : [text];
    const ids: number[] = [];
    for (const part of parts) ids.push(...(await this.#backend.tokenize(part, this.#closed.signal)));
    return ids;
  }
}

/** A constraint needs the logits of all the tokens it allows, and these servers report only the most likely. */
function refuseConstraint(constraint: Constraint | undefined): void {
  if (constraint === undefined) return;
  const param = constraint.response_format ? "response_format" : constraint.tools ? "tools" : "logit_bias";
  throw new KaratError("unsupported_constraint", "this model's server cannot constrain its answers", { param });
}

const anyOf = (...signals: (AbortSignal | undefined)[]): AbortSignal =>
  AbortSignal.any(signals.filter((signal) => signal !== undefined));

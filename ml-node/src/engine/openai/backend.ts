/**
 * What differs between inference servers behind HTTP. Everything above is the same for all of them: rendering, sampling and scoring are ours,
 * the server only says which tokens are how likely after given ones.
 */
import { KaratError, messageOf } from "@karat/common";
import OpenAI, { APIConnectionError, APIError, APIUserAbortError } from "openai";
import type { Stream } from "openai/core/streaming";
import type { GeneratedToken, GenerateJob, TokenLogprob } from "../engine.ts";
import { cancelled } from "../slots.ts";

export type ServerKind = "vllm" | "sglang" | "llama-server";

/** What a kind of server can do, as the README's table says. */
export interface Capabilities {
  /** How the seed decides the tokens: one call for each token, or a plug-in inside the server; `server`: it does not. */
  readonly generation: "call_per_token" | "plugin" | "server";
  /** How an answer is scored. */
  readonly scoring: "one_prefill" | "call_per_token";
  /** D: distance of log-probabilities. G: seed-bound tokens. S: likelihood of tokens that the server has chosen. */
  readonly checks: readonly ("D" | "G" | "S")[];
}

/** A server that serves one model. All log-probabilities are raw: over the whole vocabulary, before temperature. */
export interface Backend {
  readonly kind: ServerKind;
  /** Name and version of the server. */
  readonly build: string;
  /** Tokens of prompt and answer together. */
  readonly contextLength: number;
  readonly capabilities: Capabilities;
  /** Whether `tokenize` reads the name of a control token as that token. */
  readonly readsControlTokens: boolean;
  /** Token ids of a text, without tokens before or behind it. */
  tokenize(text: string, signal?: AbortSignal): Promise<number[]>;
  /** The `top` most likely tokens after `ids`, most likely first. */
  next(ids: readonly number[], top: number, signal?: AbortSignal): Promise<TokenLogprob[]>;
  /** For each of `outputIds` the `top` most likely tokens in its place, and the id itself; one prefill where the server can. */
  positions(
    promptIds: readonly number[],
    outputIds: readonly number[],
    top: number,
    signal?: AbortSignal,
  ): Promise<TokenLogprob[][]>;
  /** A whole answer in one call, each token the one that the seed demands where a plug-in sees to it; where the server chooses, by a plug-in or by itself. */
  generate?(job: GenerateJob, stopTokenIds: readonly number[], signal?: AbortSignal): AsyncIterable<GeneratedToken>;
}

export interface ServerAddress {
  /** Root of the server or its `/v1`. */
  readonly baseUrl: string;
  readonly apiKey?: string;
  /** The server's name of the model; default: the only one it lists. */
  readonly serverModel?: string;
  /** Lets the server choose the tokens by itself; for models with an unseeded profile. */
  readonly serverSamples?: boolean;
}

const REQUEST_TIMEOUT_MS = 120_000;
const MAX_RETRIES = 2;

/** JSON over HTTP to one server, with the `openai` package's retries and time-outs. Errors are those of an engine. */
export class Wire {
  readonly model: string;
  readonly #client: OpenAI;
  readonly #root: string;

  constructor({ baseUrl, apiKey }: ServerAddress, model = "") {
    this.#root = baseUrl.replace(/\/+$/, "").replace(/\/v1$/, "");
    this.model = model;
    this.#client = new OpenAI({
      baseURL: `${this.#root}/v1`,
      apiKey: apiKey ?? "none",
      timeout: REQUEST_TIMEOUT_MS,
      maxRetries: MAX_RETRIES,
    });
  }

  /** `path` from the root. Throws `cancelled`, `engine_unavailable`, `overloaded`, or `engine_refused` {status}. */
  async post<T>(path: string, body: object, signal?: AbortSignal): Promise<T> {
    return this.#guard(this.#client.post<T>(`${this.#root}${path}`, { body, signal: signal ?? null }), signal);
  }

  /** The events of a streamed answer. */
  async *stream<T>(path: string, body: object, signal?: AbortSignal): AsyncGenerator<T> {
    const options = { body: { ...body, stream: true }, stream: true, signal: signal ?? null };
    try {
      for await (const event of await this.#client.post<Stream<T>>(`${this.#root}${path}`, options)) yield event;
    } catch (error) {
      throw engineError(error, signal);
    }
  }

  async get<T>(path: string): Promise<T> {
    return this.#guard(this.#client.get<T>(`${this.#root}${path}`));
  }

  /** What the server answers at `path`; undefined where it knows no such path. */
  async find<T>(path: string): Promise<T | undefined> {
    try {
      return await this.get<T>(path);
    } catch (error) {
      if (error instanceof KaratError && error.code === "engine_refused") return undefined;
      throw error;
    }
  }

  async #guard<T>(reply: Promise<T>, signal?: AbortSignal): Promise<T> {
    try {
      return await reply;
    } catch (error) {
      throw engineError(error, signal);
    }
  }
}

function engineError(error: unknown, signal: AbortSignal | undefined): KaratError {
  if (signal?.aborted || error instanceof APIUserAbortError) return cancelled();
  if (error instanceof APIConnectionError) {
    return new KaratError("engine_unavailable", "the inference server cannot be reached", { retry_after_s: 5 }, error);
  }
  if (!(error instanceof APIError)) throw error;
  if (error.status === 429 || error.status === 503) {
    return new KaratError("overloaded", "the inference server is busy", { retry_after_s: 1 }, error);
  }
  if (error.status !== undefined && error.status >= 500) {
    return new KaratError("engine_died", "the inference server failed", { reason: messageOf(error) }, error);
  }
  const data = { status: error.status ?? null, reason: messageOf(error) };
  return new KaratError("engine_refused", "the inference server refuses a request", data, error);
}

/** A server answered in another shape than its documentation says. */
export function unexpected(kind: ServerKind, what: string): KaratError {
  return new KaratError("engine_unexpected", "the inference server answers in an unknown way", { kind, what });
}

/** Most likely first, ties by id; one entry for each id. */
export function sorted(entries: Iterable<TokenLogprob>): TokenLogprob[] {
  const byId = new Map<number, TokenLogprob>();
  for (const entry of entries) if (!byId.has(entry.id)) byId.set(entry.id, entry);
  return [...byId.values()].sort((a, b) => b.logprob - a.logprob || a.id - b.id);
}

import { isKaratError, KaratError, messageOf } from "@karat/common";
import { ARTIFACT_STEPS } from "@karat/rules";
import { type Dispatcher, Pool } from "undici";
import { z } from "zod";
import { JsonLines } from "../http/jsonLines.ts";
import type { MlFinishReason, TokenLine } from "./protocol.ts";

const MAX_LINE_BYTES = 32 * 1024 * 1024;

const modelsReply = z.object({
  models: z.array(
    z.object({
      id: z.string(),
      weights_sha256: z.string(),
      context_length: z.int().positive(),
      vocabulary_size: z.int().positive(),
      capacity: z.int().positive(),
      /** How it codes its artifacts, where it says so. */
      artifact: z.object({ step: z.enum(ARTIFACT_STEPS), k: z.int().min(1).max(20) }).optional(),
      /** Where it can embed with this model. */
      embedding: z.object({ dimensions: z.int().positive() }).optional(),
    }),
  ),
});
export type MlModel = z.infer<typeof modelsReply>["models"][number];

const tokenizeReply = z.object({
  count: z.int().min(0),
  /** Of each input. */
  counts: z.array(z.int().min(0)).optional(),
});
export type TokenCount = z.infer<typeof tokenizeReply>;
const errorReply = z.object({ error: z.object({ code: z.string().nullable(), message: z.string() }) });

export interface PromptBody {
  readonly messages?: unknown;
  readonly tools?: unknown;
  readonly prompt?: unknown;
  readonly input?: readonly string[];
}

/** Body of `POST /karat/v1/generate`, as the ML node documents it. */
export interface GenerateBody {
  readonly model: string;
  readonly messages?: unknown;
  readonly prompt?: unknown;
  /** Texts to embed: its answer is a start and an end. */
  readonly input?: readonly string[];
  readonly response_format?: unknown;
  readonly tools?: unknown;
  readonly tool_choice?: unknown;
  readonly parallel_tool_calls?: unknown;
  readonly logit_bias?: unknown;
  readonly max_tokens: number;
  readonly stop: readonly string[];
  readonly sampling: object;
  /** 32 bytes in hex. */
  readonly seed: string;
  readonly inference_id: string;
  readonly top_logprobs: number;
  /** False: tokens may come several at a time. */
  readonly stream?: boolean;
  /** Tokens of the answer that are there already. */
  readonly prefix_token_ids?: readonly number[];
}

export interface MlEnd {
  readonly type: "end";
  readonly finish_reason: MlFinishReason;
  readonly usage: { readonly prompt_tokens: number; readonly completion_tokens: number };
  readonly token_ids: readonly number[];
  readonly text: string;
  readonly output_hash: string;
  readonly artifact: string;
  readonly artifact_root: string;
}

export interface MlStart {
  readonly type: "start";
  /** With the prefix, where there is one. */
  readonly prompt_tokens: number;
  readonly prompt_hash: string;
  /** Bytes of the prefix's tokens in base64, and how many characters of its text were told with it. */
  readonly prefix?: { readonly bytes: string; readonly told: number };
}

export type MlLine =
  | MlStart
  | TokenLine
  | MlEnd
  | { readonly type: "error"; readonly error: { readonly code: string | null; readonly message: string } };

export interface MlNodeOptions {
  readonly url: string;
  /** Bearer token, where the node wants one. */
  readonly token?: string;
  /** Longest silence within an answer. */
  readonly idleMs: number;
}

/**
 * One ML node's HTTP. Throws KaratError with the node's own code for what it refuses, and `ml_unreachable` when it does not
 * answer or stops in the middle.
 */
export class MlNode {
  readonly url: string;
  readonly #pool: Pool;
  readonly #headers: Record<string, string>;
  readonly #prefix: string;

  constructor(options: MlNodeOptions) {
    this.url = options.url;
    const url = new URL(options.url);
    this.#prefix = url.pathname.replace(/\/$/, "");
    this.#pool = new Pool(url.origin, {
      connections: 128,
      bodyTimeout: options.idleMs,
      headersTimeout: options.idleMs,
    });
    const token = options.token === undefined ? {} : { authorization: `Bearer ${options.token}` };
    this.#headers = { ...token, "content-type": "application/json" };
  }

  async models(signal: AbortSignal): Promise<MlModel[]> {
    return modelsReply.parse(await this.#json("GET", "/karat/v1/models", undefined, signal)).models;
  }

  /** Number of prompt tokens of a chat (with its tools), a text, or several. */
  async countTokens(input: PromptBody, signal?: AbortSignal): Promise<TokenCount> {
    return tokenizeReply.parse(await this.#json("POST", "/karat/v1/tokenize", input, signal));
  }

  /** The lines of an answer, as many at a time as have come. Leaving the loop or aborting the signal closes the connection, which cancels generation. */
  async *generate(body: GenerateBody, signal: AbortSignal): AsyncGenerator<readonly MlLine[]> {
    const lines = new JsonLines(this.#pool, {
      path: `${this.#prefix}/karat/v1/generate`,
      headers: this.#headers,
      body: JSON.stringify(body),
      signal,
      maxLineBytes: MAX_LINE_BYTES,
    });
    let complete = false;
    try {
      const status = await lines.status();
      if (status !== 200) {
        const text = await lines.text();
        complete = true;
        throw refused(status, text);
      }
      for (;;) {
        const batch = (await lines.read()) as readonly MlLine[];
        if (batch.length === 0) return;
        const { type } = batch.at(-1)!;
        complete = type === "end" || type === "error";
        yield batch;
      }
    } catch (error) {
      throw isKaratError(error) && !isKaratError(error, "malformed_stream") ? error : unreachable(this.url, error);
    } finally {
      lines.close(complete);
    }
  }

  close(): Promise<void> {
    return this.#pool.destroy();
  }

  async #json(method: "GET" | "POST", path: string, body: unknown, signal?: AbortSignal): Promise<unknown> {
    const reply = await this.#request(method, path, body, signal);
    if (reply.statusCode !== 200) throw refused(reply.statusCode, await reply.body.text());
    return await reply.body.json();
  }

  async #request(
    method: "GET" | "POST",
    path: string,
    body: unknown,
    signal?: AbortSignal,
  ): Promise<Dispatcher.ResponseData> {
    try {
      return await this.#pool.request({
        method,
        path: this.#prefix + path,
        headers: this.#headers,
        body: body === undefined ? null : JSON.stringify(body),
        signal: signal ?? null,
      });
    } catch (error) {
      throw unreachable(this.url, error);
    }
  }
}

function refused(status: number, text: string): KaratError {
  const { code, message } = errorOf(text) ?? { code: null, message: `status ${status}` };
  return new KaratError(code ?? "engine_failed", message, { status });
}

function errorOf(text: string): z.infer<typeof errorReply>["error"] | undefined {
  try {
    return errorReply.parse(JSON.parse(text)).error;
  } catch {
    return undefined;
  }
}

const unreachable = (url: string, cause: unknown): KaratError =>
  new KaratError("ml_unreachable", `The ML node does not answer: ${messageOf(cause)}`, { url }, cause);

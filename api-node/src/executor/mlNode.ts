import { KaratError, messageOf } from "@karat/common";
import { readNdjson } from "@karat/common/http";
import { ARTIFACT_STEPS } from "@karat/rules";
import { type Dispatcher, Pool } from "undici";
import { z } from "zod";
import type { MlFinishReason, TokenLine } from "./protocol.ts";

const MAX_LINE_BYTES = 32 * 1024 * 1024;
/** Whether a body that was left early is destroyed is for `leave` to say. */
export const KEEP_OPEN = { destroyOnReturn: false } as const;
/** Bytes that may follow the last line. */
const MOST_BEHIND_END = 1_024;
const MAX_REPLY_BYTES = 1024 * 1024;

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
    }),
  ),
});
export type MlModel = z.infer<typeof modelsReply>["models"][number];

const tokenizeReply = z.object({ count: z.int().min(0) });
const errorReply = z.object({ error: z.object({ code: z.string().nullable(), message: z.string() }) });

export interface PromptBody {
  readonly messages?: unknown;
  readonly tools?: unknown;
  readonly prompt?: unknown;
}

/** Body of `POST /karat/v1/generate`, as the ML node documents it. */
export interface GenerateBody {
  readonly model: string;
  readonly messages?: unknown;
  readonly prompt?: unknown;
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
    this.#headers = options.token === undefined ? {} : { authorization: `Bearer ${options.token}` };
  }

  async models(signal: AbortSignal): Promise<MlModel[]> {
    return modelsReply.parse(await this.#json("GET", "/karat/v1/models", undefined, signal)).models;
  }

  /** Number of prompt tokens of a chat (with its tools) or a text. */
  async countTokens(input: PromptBody, signal?: AbortSignal): Promise<number> {
    return tokenizeReply.parse(await this.#json("POST", "/karat/v1/tokenize", input, signal)).count;
  }

  /** The lines of an answer. Leaving the loop or aborting the signal closes the connection, which cancels generation. */
  async *generate(body: GenerateBody, signal: AbortSignal): AsyncGenerator<MlLine> {
    const reply = await this.#request("POST", "/karat/v1/generate", body, signal);
    if (reply.statusCode !== 200) throw await refusal(reply);
    let complete = false;
    try {
      for await (const value of readNdjson(reply.body.iterator(KEEP_OPEN), MAX_LINE_BYTES)) {
        const line = value as MlLine;
        complete = line.type === "end" || line.type === "error";
        yield line;
      }
    } catch (error) {
      throw unreachable(this.url, error);
    } finally {
      leave(reply.body, complete);
    }
  }

  close(): Promise<void> {
    return this.#pool.destroy();
  }

  async #json(method: "GET" | "POST", path: string, body: unknown, signal?: AbortSignal): Promise<unknown> {
    const reply = await this.#request(method, path, body, signal);
    if (reply.statusCode !== 200) throw await refusal(reply);
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
        headers: { ...this.#headers, "content-type": "application/json" },
        body: body === undefined ? null : JSON.stringify(body),
        signal: signal ?? null,
      });
    } catch (error) {
      throw unreachable(this.url, error);
    }
  }
}

async function refusal(reply: Dispatcher.ResponseData): Promise<KaratError> {
  const length = Number(reply.headers["content-length"] ?? 0);
  const body = length <= MAX_REPLY_BYTES ? await reply.body.json().catch(() => undefined) : undefined;
  const parsed = errorReply.safeParse(body);
  const { code, message } = parsed.success ? parsed.data.error : { code: null, message: `status ${reply.statusCode}` };
  return new KaratError(code ?? "engine_failed", message, { status: reply.statusCode });
}

/**
 * Done with a body: after its last line the connection is kept for the next request; before it, closing the connection is what stops the
 * other side.
 */
export function leave(body: Dispatcher.ResponseData["body"], complete: boolean): void {
  body.on("error", () => undefined);
  if (!complete) {
    body.destroy();
    return;
  }
  // undici's own `dump` counts what was read before, and would close the connection behind any answer of some length.
  let rest = 0;
  body.on("data", (chunk: Buffer) => {
    rest += chunk.length;
    if (rest > MOST_BEHIND_END) body.destroy();
  });
  body.resume();
}

const unreachable = (url: string, cause: unknown): KaratError =>
  new KaratError("ml_unreachable", `The ML node does not answer: ${messageOf(cause)}`, { url }, cause);

import { isKaratError, type KaratError } from "@karat/common";
import { type OpenAiErrorReply, openAiError } from "@karat/common/openai";

interface Rendering {
  readonly status: number;
  readonly type: string;
  /** False where a retry by the SDK cannot help; left out where the SDK's own rule is right. */
  readonly retry?: false;
}

/** The codes of this node beside those that every OpenAI-compatible server of Karat shares. */
const RENDERINGS: Readonly<Record<string, Rendering>> = {
  insufficient_deposit: { status: 402, type: "insufficient_quota", retry: false },
  invalid_authorization: { status: 400, type: "invalid_request_error" },
  invalid_hex: { status: 400, type: "invalid_request_error" },
  record_expired: { status: 409, type: "invalid_request_error", retry: false },
  request_interrupted: { status: 409, type: "invalid_request_error", retry: false },
  stale_anchor: { status: 400, type: "invalid_request_error" },
  not_drawn: { status: 403, type: "invalid_request_error" },
  peer_unauthorized: { status: 401, type: "invalid_request_error" },
  peer_replayed: { status: 401, type: "invalid_request_error" },
  peer_overloaded: { status: 429, type: "rate_limit_error" },
  executor_failed: { status: 502, type: "server_error" },
  chain_unavailable: { status: 503, type: "server_error" },
  queue_unavailable: { status: 503, type: "server_error" },
};

/** Values of an error that a client can act on, shown beside the four keys of the OpenAI error object. */
const SHOWN_DATA: Readonly<Record<string, readonly string[]>> = {
  insufficient_deposit: ["needed", "available"],
  context_length_exceeded: ["prompt_tokens", "max_tokens", "context_length"],
  no_executor: ["attempts"],
};

/**
 * The HTTP reply for anything thrown: status, headers and an OpenAI error object. Codes that a retry cannot cure carry
 * `x-should-retry: false`; unknown errors are a plain 500 that reveals nothing.
 */
export function errorReply(error: unknown): OpenAiErrorReply {
  const own = isKaratError(error) ? RENDERINGS[error.code] : undefined;
  const reply = own && isKaratError(error) ? render(own, error) : openAiError(error);
  if (isKaratError(error)) {
    for (const key of SHOWN_DATA[error.code] ?? []) {
      const value = error.data[key];
      if (value !== undefined) Object.assign(reply.body.error, { [key]: shown(value) });
    }
  }
  return reply;
}

function render({ status, type, retry }: Rendering, error: KaratError): OpenAiErrorReply {
  const headers: Record<string, string> = retry === false ? { "x-should-retry": "false" } : {};
  const { retry_after_s: retryAfter, param } = error.data;
  if (typeof retryAfter === "number") headers["retry-after"] = String(Math.max(1, Math.ceil(retryAfter)));
  const named = typeof param === "string" ? param : null;
  return { status, headers, body: { error: { message: error.message, type, param: named, code: error.code } } };
}

/** JSON has no bigint; amounts are decimal strings as everywhere on the chain's JSON. */
const shown = (value: unknown): unknown => (typeof value === "bigint" ? value.toString() : value);

/** The error object of the OpenAI API: all four keys are always there. */

export interface OpenAiError {
  message: string;
  type: string;
  param: string | null;
  code: string | null;
}

export interface OpenAiErrorReply {
  status: number;
  headers: Record<string, string>;
  body: { error: OpenAiError };
}

interface Rendering {
  status: number;
  type: string;
}

/**
 * Which answer a code gets. SDKs retry 408, 409, 429 and ≥ 500 by themselves, so nothing that a retry cannot cure is among
 * those statuses.
 */
const RENDERINGS: Readonly<Record<string, Rendering>> = {
  invalid_request: { status: 400, type: "invalid_request_error" },
  invalid_json: { status: 400, type: "invalid_request_error" },
  invalid_sampling: { status: 400, type: "invalid_request_error" },
  invalid_prompt: { status: 400, type: "invalid_request_error" },
  unsupported_constraint: { status: 400, type: "invalid_request_error" },
  context_length_exceeded: { status: 400, type: "invalid_request_error" },
  authorization_reused: { status: 400, type: "invalid_request_error" },
  invalid_api_key: { status: 401, type: "invalid_request_error" },
  insufficient_deposit: { status: 402, type: "insufficient_quota" },
  permission_denied: { status: 403, type: "invalid_request_error" },
  not_found: { status: 404, type: "invalid_request_error" },
  model_not_found: { status: 404, type: "invalid_request_error" },
  method_not_allowed: { status: 405, type: "invalid_request_error" },
  payload_too_large: { status: 413, type: "invalid_request_error" },
  idempotency_mismatch: { status: 422, type: "invalid_request_error" },
  rate_limit_exceeded: { status: 429, type: "rate_limit_error" },
  overloaded: { status: 429, type: "rate_limit_error" },
  cancelled: { status: 499, type: "invalid_request_error" },
  engine_died: { status: 500, type: "server_error" },
  engine_failed: { status: 500, type: "server_error" },
  no_executor: { status: 503, type: "server_error" },
  engine_unavailable: { status: 503, type: "server_error" },
  shutting_down: { status: 503, type: "server_error" },
  timeout: { status: 504, type: "server_error" },
};

const INTERNAL: Rendering = { status: 500, type: "server_error" };

/**
 * The reply for anything thrown. An error with one of the codes above keeps its code and message; its field is named by `param` or
 * `data.param`, and `data.retry_after_s` becomes `Retry-After`. Every other error becomes a plain 500 that reveals nothing.
 */
export function openAiError(error: unknown): OpenAiErrorReply {
  const known = coded(error);
  if (!known) {
    const body = { message: "The server had an error.", type: INTERNAL.type, param: null, code: "internal_error" };
    return { status: INTERNAL.status, headers: {}, body: { error: body } };
  }
  const { code, message, data } = known;
  const { status, type } = RENDERINGS[code] ?? INTERNAL;
  const headers: Record<string, string> = {};
  const retryAfter = data.retry_after_s;
  if (typeof retryAfter === "number") headers["retry-after"] = String(Math.max(1, Math.ceil(retryAfter)));
  return { status, headers, body: { error: { message, type, param: known.param, code } } };
}

interface CodedError {
  code: string;
  message: string;
  param: string | null;
  data: Record<string, unknown>;
}

/** KaratErrors, and the errors of pure packages that share only their shape. */
function coded(error: unknown): CodedError | undefined {
  if (!(error instanceof Error) || !("code" in error) || typeof error.code !== "string") return undefined;
  if (!Object.hasOwn(RENDERINGS, error.code)) return undefined;
  const data = "data" in error && typeof error.data === "object" && error.data !== null ? { ...error.data } : {};
  const param = "param" in error ? error.param : (data as Record<string, unknown>).param;
  return { code: error.code, message: error.message, param: typeof param === "string" ? param : null, data };
}

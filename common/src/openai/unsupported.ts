/** Known request fields whose values this network's engines cannot honour: refused by name rather than ignored. */
import { KaratError } from "../errors.ts";

type Check = (value: unknown, body: Readonly<Record<string, unknown>>) => boolean;

const isEmpty = (value: unknown): boolean =>
  typeof value === "object" && value !== null && Object.keys(value).length === 0;
const onlyText: Check = (value) => Array.isArray(value) && value.every((item) => item === "text");

/** Each check says whether a value that is present can be honoured (mostly: because it asks for nothing). */
const SUPPORTED: Readonly<Record<string, Check>> = {
  functions: (value, body) => isEmpty(value) || body.function_call === "none",
  modalities: onlyText,
  audio: () => false,
  suffix: (value) => value === "",
  stream: (value) => typeof value === "boolean",
  stream_options: (value, body) => body.stream === true && isStreamOptions(value),
};

function isStreamOptions(value: unknown): boolean {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  return !("include_usage" in value) || value.include_usage === null || typeof value.include_usage === "boolean";
}

/** Throws `invalid_request` with `param` for the first field of an OpenAI body that asks for what is not offered. */
export function refuseUnsupported(body: Readonly<Record<string, unknown>>): void {
  for (const [param, check] of Object.entries(SUPPORTED)) {
    const value = body[param];
    if (value === undefined || value === null || check(value, body)) continue;
    const why =
      param === "stream_options" && body.stream !== true ? "only with `stream: true`" : "this value is not supported";
    throw new KaratError("invalid_request", `${param}: ${why}`, { param });
  }
}

export interface StreamRequest {
  stream: boolean;
  includeUsage: boolean;
}

/** How the answer is wanted; call after `refuseUnsupported`. */
export function streamRequest(body: Readonly<Record<string, unknown>>): StreamRequest {
  const options = body.stream_options;
  const includeUsage =
    typeof options === "object" && options !== null && "include_usage" in options && options.include_usage === true;
  return { stream: body.stream === true, includeUsage };
}

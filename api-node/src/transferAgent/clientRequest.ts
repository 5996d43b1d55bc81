import { KaratError } from "@karat/common";
import { refuseUnsupported, streamRequest } from "@karat/common/openai";
import { canonicalJson, requestHash, type SanitizedRequest, sanitizeRequest } from "@karat/rules";

export type RequestKind = "chat" | "text";

/** A client's request: the part that defines the inference, and how it wants the answer. */
export interface ClientRequest {
  readonly kind: RequestKind;
  readonly sanitized: SanitizedRequest;
  /** RFC 8785. */
  readonly canonical: string;
  readonly hash: Uint8Array;
  readonly stream: boolean;
  readonly includeUsage: boolean;
}

/** Reads a body. Throws `invalid_json`, or `invalid_request` with `param`, also for what is known and not offered. */
export function readClientRequest(kind: RequestKind, body: Uint8Array): ClientRequest {
  const fields = parse(body);
  // Each endpoint has its own way to give the input; the other one's field is not a field there.
  const { messages, prompt, ...rest } = fields;
  refuseUnsupported(rest);
  const sanitized = sanitizeRequest(kind === "chat" ? { ...rest, messages } : { ...rest, prompt });
  const canonical = canonicalJson(sanitized);
  return { kind, sanitized, canonical, hash: requestHash(sanitized), ...streamRequest(rest) };
}

function parse(body: Uint8Array): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch {
    throw new KaratError("invalid_json", "The body is not valid JSON.");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw invalid("body", "must be an object");
  return value as Record<string, unknown>;
}

const invalid = (param: string, problem: string): KaratError =>
  new KaratError("invalid_request", `${param}: ${problem}`, { param });

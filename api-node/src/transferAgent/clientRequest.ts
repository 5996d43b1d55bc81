import { isKaratError, KaratError } from "@karat/common";
import { type ResponseSettings, refuseUnsupported, streamRequest } from "@karat/common/openai";
import {
  canonicalJson,
  chatOfResponses,
  hashOfCanonical,
  isRuleError,
  type SanitizedRequest,
  sanitizeRequest,
} from "@karat/rules";
import { paramOfResponses, responseSettings } from "./responseSettings.ts";

/** The endpoint: chat completions, completions, responses. */
export type RequestKind = "chat" | "text" | "responses";

/** A client's request: the part that defines the inference, and how it wants the answer. */
export interface ClientRequest {
  readonly kind: RequestKind;
  readonly sanitized: SanitizedRequest;
  /** RFC 8785. */
  readonly canonical: string;
  readonly hash: Uint8Array;
  readonly stream: boolean;
  readonly includeUsage: boolean;
  /** Of a response: what it repeats of the request. */
  readonly settings?: ResponseSettings;
}

/** Other names of models, as this node's operator gives them. */
export type ModelAliases = ReadonlyMap<string, string>;

/**
 * Reads a body; a model named by an alias is the one that it stands for from here on. Throws `invalid_json`, or `invalid_request`
 * with `param`, also for what is known and not offered.
 */
export function readClientRequest(kind: RequestKind, body: Uint8Array, aliases?: ModelAliases): ClientRequest {
  const fields = parse(body);
  const model = typeof fields.model === "string" ? aliases?.get(fields.model) : undefined;
  if (model !== undefined) fields.model = model;
  if (kind === "responses") return readResponses(fields);
  // Each endpoint has its own way to give the input; the other one's field is not a field there.
  const { messages, prompt, ...rest } = fields;
  refuseUnsupported(rest);
  return { kind, ...defined(kind === "chat" ? { ...rest, messages } : { ...rest, prompt }), ...streamRequest(rest) };
}

function readResponses(fields: Record<string, unknown>): ClientRequest {
  try {
    const chat = chatOfResponses(fields);
    refuseUnsupported(chat);
    return { kind: "responses", ...defined(chat), ...streamRequest(chat), settings: responseSettings(fields) };
  } catch (error) {
    if (!isRuleError(error) && !isKaratError(error, "invalid_request")) throw error;
    const param = paramOfResponses(isRuleError(error) ? error.param : String(error.data.param));
    throw new KaratError("invalid_request", error.message, { param }, error);
  }
}

function defined(fields: Record<string, unknown>): Pick<ClientRequest, "sanitized" | "canonical" | "hash"> {
  const sanitized = sanitizeRequest(fields);
  const canonical = canonicalJson(sanitized);
  return { sanitized, canonical, hash: hashOfCanonical(canonical) };
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

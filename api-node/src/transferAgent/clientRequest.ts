import { type InferenceRequest, parseRequest, type RequestKind, readRequest } from "@karat/client";
import type { ResponseSettings } from "@karat/common/openai";
import { canonicalJson, hashOfCanonical } from "@karat/rules";
import { responseSettings } from "./responseSettings.ts";

/** A client's request: the part that defines the inference, and how it wants the answer. */
export interface ClientRequest extends InferenceRequest {
  readonly kind: RequestKind;
  /** RFC 8785. */
  readonly canonical: string;
  readonly hash: Uint8Array;
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
  const fields = parseRequest(body);
  const model = typeof fields.model === "string" ? aliases?.get(fields.model) : undefined;
  if (model !== undefined) fields.model = model;
  const request = readRequest(kind, fields);
  const canonical = canonicalJson(request.sanitized);
  const settings = kind === "responses" ? { settings: responseSettings(fields) } : {};
  return { kind, ...request, canonical, hash: hashOfCanonical(canonical), ...settings };
}

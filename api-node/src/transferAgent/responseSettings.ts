/** What of POST /v1/responses is not the inference itself: that is a chat's (`chatOfResponses` of @karat/rules). */
import { KaratError } from "@karat/common";
import type { ResponseSettings } from "@karat/common/openai";

type Fields = Readonly<Record<string, unknown>>;

/** What the answer repeats of a body that `chatOfResponses` has read. Throws `invalid_request` for its metadata. */
export function responseSettings(body: Fields): ResponseSettings {
  const { instructions, temperature, top_p, max_output_tokens, parallel_tool_calls, tool_choice, text } = body;
  const tools: Fields[] = Array.isArray(body.tools) ? body.tools.filter(isFields) : [];
  const format = isFields(text) && isFields(text.format) ? text.format : { type: "text" };
  return {
    model: String(body.model),
    instructions: typeof instructions === "string" ? instructions : null,
    metadata: metadataOf(body.metadata),
    temperature: typeof temperature === "number" ? temperature : null,
    top_p: typeof top_p === "number" ? top_p : null,
    max_output_tokens: typeof max_output_tokens === "number" ? max_output_tokens : null,
    tools: tools.map(({ strict = null, parameters = null, ...rest }) => ({ ...rest, parameters, strict })),
    tool_choice: typeof tool_choice === "string" || isFields(tool_choice) ? tool_choice : "auto",
    parallel_tool_calls: parallel_tool_calls !== false,
    text: { format },
  };
}

function metadataOf(metadata: unknown): Record<string, string> | null {
  if (metadata === undefined || metadata === null) return null;
  if (!isFields(metadata)) throw refuse("must be an object");
  const entries = Object.entries(metadata);
  if (entries.length > 16) throw refuse("at most 16 pairs");
  for (const [key, value] of entries) {
    if (typeof value !== "string" || value.length > 512 || key.length > 64) throw refuse("short strings");
  }
  return Object.fromEntries(entries.map(([key, value]) => [key, String(value)]));
}

const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const refuse = (problem: string): KaratError =>
  new KaratError("invalid_request", `metadata: ${problem}`, { param: "metadata" });

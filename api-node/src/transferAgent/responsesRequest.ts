/** POST /v1/responses as a chat: the inference behind both endpoints is the same, and so is its hash. */
import { KaratError } from "@karat/common";
import type { ResponseSettings } from "@karat/common/openai";

type Fields = Readonly<Record<string, unknown>>;

export interface ResponsesRequest {
  /** The body of the chat completion that is asked for. */
  readonly chat: Record<string, unknown>;
  /** What the answer repeats. */
  readonly settings: ResponseSettings;
}

/** What would need a memory of this node, or tools that it does not have. Each says which values ask for nothing. */
const NOT_OFFERED: Readonly<Record<string, (value: unknown) => boolean>> = {
  previous_response_id: () => false,
  conversation: () => false,
  prompt: () => false,
  background: (value) => value === false,
  truncation: (value) => value === "disabled",
};

/** Throws `invalid_request` with `param` for what is malformed or not offered. */
export function readResponsesRequest(body: Fields): ResponsesRequest {
  for (const [param, harmless] of Object.entries(NOT_OFFERED)) {
    const value = body[param];
    if (present(value) && !harmless(value)) throw refuse(param, "this value is not supported");
  }
  const { instructions, metadata, temperature, top_p, max_output_tokens, parallel_tool_calls, tool_choice } = body;
  if (present(instructions) && typeof instructions !== "string") throw refuse("instructions", "must be a string");
  const format = formatOf(body.text);
  const tools = listOf(body.tools, "tools");
  const wantsLogprobs = listOf(body.include, "include").includes("message.output_text.logprobs");
  const messages = messagesOf(body.input);
  const chat = {
    model: body.model,
    messages: typeof instructions === "string" ? [{ role: "system", content: instructions }, ...messages] : messages,
    max_tokens: max_output_tokens,
    temperature,
    top_p,
    stream: body.stream,
    tools: tools.map(toolOf),
    tool_choice: toolChoiceOf(tool_choice),
    parallel_tool_calls,
    response_format: format.chat,
    ...(wantsLogprobs ? { logprobs: true, top_logprobs: body.top_logprobs } : {}),
    // Not of this endpoint, but what Karat offers on every one.
    seed: body.seed,
    logit_bias: body.logit_bias,
  };
  return {
    chat,
    settings: {
      model: String(body.model),
      instructions: typeof instructions === "string" ? instructions : null,
      metadata: metadataOf(metadata),
      temperature: typeof temperature === "number" ? temperature : null,
      top_p: typeof top_p === "number" ? top_p : null,
      max_output_tokens: typeof max_output_tokens === "number" ? max_output_tokens : null,
      tools: tools.map((tool) => {
        const { strict = null, parameters = null, ...rest } = fieldsOf(tool, "tools");
        return { ...rest, parameters, strict };
      }),
      tool_choice: typeof tool_choice === "string" || isFields(tool_choice) ? tool_choice : "auto",
      parallel_tool_calls: parallel_tool_calls !== false,
      text: { format: format.shown },
    },
  };
}

/** The field of the response's request that a field of the chat stands for. */
export function paramOfResponses(param: string): string {
  return param
    .replace(/^messages\[\d+\]/, "input")
    .replace(/^messages$/, "input")
    .replace(/^max_tokens$/, "max_output_tokens")
    .replace(/^response_format\.json_schema/, "text.format")
    .replace(/^response_format/, "text.format")
    .replace(/^(tools\[\d+\]|tool_choice)\.function/, "$1");
}

function messagesOf(input: unknown): object[] {
  if (typeof input === "string") return [{ role: "user", content: input }];
  if (!Array.isArray(input)) throw refuse("input", "must be a string or a list of items");
  const messages: { role: unknown; content: unknown; tool_calls?: object[]; tool_call_id?: unknown }[] = [];
  for (const [i, value] of input.entries()) {
    const param = `input[${i}]`;
    const item = fieldsOf(value, param);
    const { type = "message" } = item;
    if (type === "message") messages.push({ role: item.role, content: contentOf(item.content, `${param}.content`) });
    else if (type === "function_call") {
      const call = { id: item.call_id, type: "function", function: { name: item.name, arguments: item.arguments } };
      const last = messages.at(-1);
      // Calls that were made together are one turn.
      if (last?.tool_calls) last.tool_calls.push(call);
      else messages.push({ role: "assistant", content: null, tool_calls: [call] });
    } else if (type === "function_call_output") {
      const content = contentOf(item.output, `${param}.output`);
      messages.push({ role: "tool", content, tool_call_id: item.call_id });
    } else if (type !== "reasoning") throw refuse(`${param}.type`, "this kind of item is not supported");
  }
  return messages;
}

/** Parts of text in the names of the chat. */
function contentOf(content: unknown, param: string): unknown {
  if (!Array.isArray(content)) return content;
  return content.map((part, i) => {
    const { type, text } = fieldsOf(part, `${param}[${i}]`);
    if (type === "input_text" || type === "output_text") return { type: "text", text };
    throw refuse(`${param}[${i}].type`, "only text is supported");
  });
}

function toolOf(tool: unknown, i: number): object {
  const { type, name, description, parameters, strict } = fieldsOf(tool, `tools[${i}]`);
  return { type, function: { name, description, parameters, strict } };
}

function toolChoiceOf(choice: unknown): unknown {
  if (!isFields(choice)) return choice;
  return choice.type === "function" ? { type: "function", function: { name: choice.name } } : choice;
}

function formatOf(text: unknown): { chat: unknown; shown: object } {
  const format = present(text) ? fieldsOf(text, "text").format : undefined;
  if (!present(format)) return { chat: undefined, shown: { type: "text" } };
  const fields = fieldsOf(format, "text.format");
  if (fields.type !== "json_schema") return { chat: fields, shown: fields };
  const { name, schema, strict } = fields;
  return { chat: { type: "json_schema", json_schema: { name, schema, strict } }, shown: fields };
}

function metadataOf(metadata: unknown): Record<string, string> | null {
  if (!present(metadata)) return null;
  const entries = Object.entries(fieldsOf(metadata, "metadata"));
  if (entries.length > 16) throw refuse("metadata", "at most 16 pairs");
  for (const [key, value] of entries) {
    if (typeof value !== "string" || value.length > 512 || key.length > 64) throw refuse("metadata", "short strings");
  }
  return Object.fromEntries(entries.map(([key, value]) => [key, String(value)]));
}

function listOf(value: unknown, param: string): unknown[] {
  if (!present(value)) return [];
  if (Array.isArray(value)) return value;
  throw refuse(param, "must be a list");
}

function fieldsOf(value: unknown, param: string): Fields {
  if (isFields(value)) return value;
  throw refuse(param, "must be an object");
}

const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const present = (value: unknown): boolean => value !== undefined && value !== null;

const refuse = (param: string, problem: string): KaratError =>
  new KaratError("invalid_request", `${param}: ${problem}`, { param });

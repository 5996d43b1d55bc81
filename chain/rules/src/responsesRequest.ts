/** POST /v1/responses as a chat: the inference behind both endpoints is the same, and so is its hash. */
import { type Fields, fieldsOf, isFields, present, refuse } from "./fields.ts";

/** What would need a memory of the node that is asked. Each says which values ask for nothing. */
const NOT_OFFERED: Readonly<Record<string, (value: unknown) => boolean>> = {
  previous_response_id: () => false,
  conversation: () => false,
  prompt: () => false,
  background: (value) => value === false,
  truncation: (value) => value === "disabled",
};

/**
 * The body of the chat completion that a body of `/v1/responses` asks for, as `sanitizeRequest` reads it. Fields that only the answer
 * repeats (`metadata`, `store` …) are left out. Throws RuleError `invalid_request` with `param` for what is malformed here or not offered.
 */
export function chatOfResponses(body: unknown): Record<string, unknown> {
  const fields = fieldsOf(body, "body");
  for (const [param, harmless] of Object.entries(NOT_OFFERED)) {
    const value = fields[param];
    if (present(value) && !harmless(value)) throw refuse(param, "this value is not supported");
  }
  const { model, instructions, max_output_tokens, temperature, top_p, stream, seed, logit_bias } = fields;
  if (present(instructions) && typeof instructions !== "string") throw refuse("instructions", "must be a string");
  const messages = messagesOf(fields.input);
  const wantsLogprobs = listOf(fields.include, "include").includes("message.output_text.logprobs");
  return {
    model,
    messages: typeof instructions === "string" ? [{ role: "system", content: instructions }, ...messages] : messages,
    max_tokens: max_output_tokens,
    temperature,
    top_p,
    stream,
    tools: listOf(fields.tools, "tools").map(toolOf),
    tool_choice: toolChoiceOf(fields.tool_choice),
    parallel_tool_calls: fields.parallel_tool_calls,
    response_format: formatOf(fields.text),
    ...(wantsLogprobs ? { logprobs: true, top_logprobs: fields.top_logprobs } : {}),
    // Not of this endpoint, but what Karat offers on every one.
    seed,
    logit_bias,
  };
}

interface Message {
  readonly role: unknown;
  readonly content: unknown;
  readonly tool_calls?: object[];
  readonly tool_call_id?: unknown;
}

function messagesOf(input: unknown): Message[] {
  if (typeof input === "string") return [{ role: "user", content: input }];
  if (!Array.isArray(input)) throw refuse("input", "must be a string or a list of items");
  const messages: Message[] = [];
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

function formatOf(text: unknown): Fields | undefined {
  const format = present(text) ? fieldsOf(text, "text").format : undefined;
  if (!present(format)) return undefined;
  const fields = fieldsOf(format, "text.format");
  if (fields.type !== "json_schema") return fields;
  const { name, schema, strict } = fields;
  return { type: "json_schema", json_schema: { name, schema, strict } };
}

function listOf(value: unknown, param: string): unknown[] {
  if (!present(value)) return [];
  if (Array.isArray(value)) return value;
  throw refuse(param, "must be a list");
}

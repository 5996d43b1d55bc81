/** The fields of a request that say which answers are allowed: `response_format`, `tools` and their kin, `logit_bias`. */
import { type Fields, fieldsOf, present, refuse } from "../fields.ts";
import * as json from "./json.ts";
import { choice, type Node } from "./node.ts";
import { schemaNode } from "./schema.ts";
import { costsOf, type Speller } from "./spelling.ts";
import { type CallableTool, callsOnly, textOrCalls } from "./toolCalls.ts";

/** Schemas are kept as JSON text: the order of properties counts, and canonical JSON would sort it away. */
export type ResponseFormat =
  | { readonly type: "json_object" }
  | {
      readonly type: "json_schema";
      readonly json_schema: { readonly name: string; readonly schema: string; readonly strict?: true };
    };

export interface FunctionTool {
  readonly type: "function";
  readonly function: {
    readonly name: string;
    readonly description?: string;
    /** JSON Schema as text; without one, the function takes no arguments. */
    readonly parameters?: string;
    readonly strict?: true;
  };
}

/** Absent means: text, no tools, "auto", in parallel, no bias. */
export interface Constraint {
  readonly response_format?: ResponseFormat;
  readonly tools?: readonly FunctionTool[];
  readonly tool_choice?: "required" | { readonly type: "function"; readonly function: { readonly name: string } };
  readonly parallel_tool_calls?: false;
  /** Token id → what is added to its logit, −100 … 100. */
  readonly logit_bias?: Readonly<Record<string, number>>;
}

export const CONSTRAINT_LIMITS = { tools: 128, schemaLength: 65_536, descriptionLength: 8_192, biases: 300 } as const;

/** A vocabulary of single bytes: whether an answer is finite does not depend on the model. */
const BYTES: Speller = { spell: (bytes) => [...bytes, 0].map((_, i) => bytes.length - i), hasByte: () => true };

const NAME = /^[a-zA-Z0-9_-]{1,64}$/;

/**
 * The constraint in the fields of an OpenAI body, canonical: what asks for nothing is left out. Throws `invalid_request` with `param` for
 * what is malformed or cannot be enforced. Only chats have formats and tools.
 */
export function readConstraint(fields: Fields, chat: boolean): Constraint {
  const bias = readBias(fields.logit_bias);
  if (!chat) return bias;
  const format = readFormat(fields.response_format);
  const constraint = { ...(format && { response_format: format }), ...readTools(fields), ...bias };
  const node = constraintNode(constraint); // throws what cannot be enforced
  if (node && costsOf(node, BYTES).of(node, 0) === Number.POSITIVE_INFINITY) {
    throw refuse(format ? "response_format" : "tools", "no finite answer satisfies it");
  }
  return constraint;
}

/** The constraint of a sanitised request; undefined where every token may follow any other. */
export function constraintOf(request: Constraint): Constraint | undefined {
  const { response_format, tools, tool_choice, parallel_tool_calls, logit_bias } = request;
  if (!response_format && !tools && !logit_bias) return undefined;
  return {
    ...(response_format && { response_format }),
    ...(tools && { tools }),
    ...(tool_choice && { tool_choice }),
    ...(parallel_tool_calls === false && { parallel_tool_calls }),
    ...(logit_bias && { logit_bias }),
  };
}

/** The grammar of the answers that are allowed; undefined where any text is. */
export function constraintNode({
  response_format,
  tools,
  tool_choice,
  parallel_tool_calls,
}: Constraint): Node | undefined {
  const value = response_format && formatNode(response_format);
  if (!tools) return value;
  const named = typeof tool_choice === "object" ? tool_choice.function.name : undefined;
  const callable: CallableTool[] = [];
  for (const [i, tool] of tools.entries()) {
    const { name, parameters, strict = false } = tool.function;
    if (named !== undefined && name !== named) continue;
    const param = `tools[${i}].function.parameters`;
    const node = parameters === undefined ? json.object([]) : schemaNode(parse(parameters, param), { param, strict });
    callable.push({ name, parameters: node });
  }
  // One function by name is one call of it, as the OpenAI API has it.
  const calls = callsOnly(callable, parallel_tool_calls !== false && named === undefined);
  if (tool_choice !== undefined) return calls;
  return value ? choice(value, calls) : textOrCalls(callable, parallel_tool_calls !== false);
}

export const biasOf = ({ logit_bias: bias = {} }: Constraint): ReadonlyMap<number, number> =>
  new Map(Object.entries(bias).map(([id, value]) => [Number(id), value]));

function formatNode(format: ResponseFormat): Node {
  if (format.type === "json_object") return json.anyObject;
  const param = "response_format.json_schema.schema";
  const { schema, strict = false } = format.json_schema;
  return schemaNode(parse(schema, param), { param, strict });
}

function readFormat(value: unknown): ResponseFormat | undefined {
  if (!present(value)) return undefined;
  const { type, json_schema: given } = fieldsOf(value, "response_format");
  if (type === "text") return undefined;
  if (type === "json_object") return { type };
  if (type !== "json_schema") throw refuse("response_format.type", "text, json_object or json_schema");
  const param = "response_format.json_schema";
  const fields = fieldsOf(given, param);
  const schema = schemaText(fields.schema, `${param}.schema`);
  if (schema === undefined) throw refuse(`${param}.schema`, "is required");
  return {
    type,
    json_schema: { name: nameOf(fields.name, `${param}.name`), schema, ...strictOf(fields.strict, `${param}.strict`) },
  };
}

function readTools(fields: Fields): Pick<Constraint, "tools" | "tool_choice" | "parallel_tool_calls"> {
  const { tools: list = [], tool_choice: asked, parallel_tool_calls: parallel } = fields;
  if (present(parallel) && typeof parallel !== "boolean") throw refuse("parallel_tool_calls", "must be true or false");
  if (present(list) && !Array.isArray(list)) throw refuse("tools", "must be a list");
  const given: unknown[] = Array.isArray(list) ? list : [];
  if (given.length > CONSTRAINT_LIMITS.tools) throw refuse("tools", `at most ${CONSTRAINT_LIMITS.tools}`);
  const tools = given.map((tool, i) => readTool(tool, `tools[${i}]`));
  const names = new Set(tools.map((tool) => tool.function.name));
  if (names.size < tools.length) throw refuse("tools", "two functions have one name");
  const toolChoice = readChoice(asked, names);
  if (tools.length === 0 || toolChoice === "none") return {};
  return {
    tools,
    ...(toolChoice !== "auto" && { tool_choice: toolChoice }),
    ...(parallel === false && { parallel_tool_calls: false as const }),
  };
}

function readTool(value: unknown, param: string): FunctionTool {
  const { type, function: given } = fieldsOf(value, param);
  if (type !== "function") throw refuse(`${param}.type`, "only functions are offered");
  const fields = fieldsOf(given, `${param}.function`);
  const { description } = fields;
  if (present(description) && typeof description !== "string")
    throw refuse(`${param}.function.description`, "a string");
  if (typeof description === "string")
    wellFormed(description, `${param}.function.description`, CONSTRAINT_LIMITS.descriptionLength);
  const parameters = schemaText(fields.parameters, `${param}.function.parameters`);
  return {
    type,
    function: {
      name: nameOf(fields.name, `${param}.function.name`),
      ...(typeof description === "string" && { description }),
      ...(parameters !== undefined && { parameters }),
      ...strictOf(fields.strict, `${param}.function.strict`),
    },
  };
}

function readChoice(
  value: unknown,
  names: ReadonlySet<string>,
): "none" | "auto" | NonNullable<Constraint["tool_choice"]> {
  if (!present(value)) return "auto";
  if (value === "none" || value === "auto") return value;
  if (value === "required") {
    if (names.size === 0) throw refuse("tool_choice", "there are no tools");
    return value;
  }
  const { type, function: given } = fieldsOf(value, "tool_choice");
  if (type !== "function") throw refuse("tool_choice", "none, auto, required or one function");
  const name = nameOf(fieldsOf(given, "tool_choice.function").name, "tool_choice.function.name");
  if (!names.has(name)) throw refuse("tool_choice.function.name", "no tool has this name");
  return { type, function: { name } };
}

function readBias(value: unknown): Pick<Constraint, "logit_bias"> {
  if (!present(value)) return {};
  const entries = Object.entries(fieldsOf(value, "logit_bias"));
  if (entries.length > CONSTRAINT_LIMITS.biases) throw refuse("logit_bias", `at most ${CONSTRAINT_LIMITS.biases}`);
  const bias: Record<string, number> = {};
  for (const [id, amount] of entries) {
    if (!/^(0|[1-9]\d{0,7})$/.test(id)) throw refuse("logit_bias", "keys must be token ids");
    if (typeof amount !== "number" || !(amount >= -100 && amount <= 100)) {
      throw refuse(`logit_bias.${id}`, "a number from -100 to 100");
    }
    if (amount !== 0) bias[id] = amount;
  }
  return Object.keys(bias).length === 0 ? {} : { logit_bias: bias };
}

/** A schema as an object, or as the text that it has once it was read here. */
function schemaText(value: unknown, param: string): string | undefined {
  if (!present(value)) return undefined;
  const schema = typeof value === "string" ? parse(value, param) : value;
  fieldsOf(schema, param);
  const text = JSON.stringify(schema);
  wellFormed(text, param, CONSTRAINT_LIMITS.schemaLength);
  return text;
}

function parse(text: string, param: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw refuse(param, "must be a JSON schema");
  }
}

function strictOf(value: unknown, param: string): { strict?: true } {
  if (present(value) && typeof value !== "boolean") throw refuse(param, "must be true or false");
  return value === true ? { strict: true } : {};
}

function nameOf(value: unknown, param: string): string {
  if (typeof value === "string" && NAME.test(value)) return value;
  throw refuse(param, "1 to 64 letters, digits, _ or -");
}

function wellFormed(value: string, param: string, most: number): void {
  if (value.length > most) throw refuse(param, `longer than ${most} characters`);
  if (!value.isWellFormed()) throw refuse(param, "lone surrogate");
}

/**
 * Cuts OpenAI's API description down to the schemas of what Karat answers:
 * `node test/conformance/reduceSchemas.ts openapi.transformed.yml > test/vectors/openai-schemas.json`.
 * Where the API has many kinds of a thing (tools, items of output), those that Karat never sends are left out, so that a kind it should not send fails.
 */
import { readFileSync } from "node:fs";
import { parse } from "yaml";

const ROOTS = [
  "CreateChatCompletionResponse",
  "CreateChatCompletionStreamResponse",
  "CreateCompletionResponse",
  "CreateEmbeddingResponse",
  "ListModelsResponse",
  "Model",
  "ErrorResponse",
  "Response",
  "ResponseCreatedEvent",
  "ResponseInProgressEvent",
  "ResponseCompletedEvent",
  "ResponseIncompleteEvent",
  "ResponseErrorEvent",
  "ResponseOutputItemAddedEvent",
  "ResponseOutputItemDoneEvent",
  "ResponseContentPartAddedEvent",
  "ResponseContentPartDoneEvent",
  "ResponseTextDeltaEvent",
  "ResponseTextDoneEvent",
  "ResponseFunctionCallArgumentsDeltaEvent",
  "ResponseFunctionCallArgumentsDoneEvent",
];

/** Of these unions, the members that Karat sends. */
const KEPT: Readonly<Record<string, readonly string[]>> = {
  OutputItem: ["OutputMessage", "FunctionToolCall"],
  Tool: ["FunctionTool"],
  ToolChoiceParam: ["ToolChoiceOptions", "ToolChoiceFunction"],
  OutputContent: ["OutputTextContent"],
  OutputMessageContent: ["OutputTextContent"],
  ChatCompletionMessageToolCalls: ["ChatCompletionMessageToolCall"],
  InputItem: ["EasyInputMessage"],
  Annotation: ["UrlCitationBody"],
  ModelIdsResponses: ["ModelIdsShared"],
};

const DROPPED = new Set(["description", "title", "example", "examples", "discriminator", "deprecated"]);

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

function stripped(value: Json, isProperties = false): Json {
  if (Array.isArray(value)) return value.map((item) => stripped(item));
  if (typeof value !== "object" || value === null) return value;
  const kept = Object.entries(value).filter(([key]) => isProperties || !(DROPPED.has(key) || key.startsWith("x-")));
  const plain = kept.map(([key, item]): [string, Json] => [key, stripped(item, key === "properties" && !isProperties)]);
  const { nullable, ...schema } = Object.fromEntries(plain);
  // OpenAPI 3.0's word, which JSON Schema does not know.
  if (!isProperties && nullable === true) return { anyOf: [schema, { type: "null" }] };
  return Object.fromEntries(plain);
}

function references(value: Json): string[] {
  if (Array.isArray(value)) return value.flatMap(references);
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, item]) =>
    key === "$ref" && typeof item === "string" ? [item.split("/").at(-1)!] : references(item),
  );
}

const nameOf = (value: Json): string | undefined => references(value)[0];

const source = process.argv[2];
if (source === undefined) throw new Error("usage: reduceSchemas.ts <openapi.transformed.yml>");
const { components, info } = parse(readFileSync(source, "utf8"), { maxAliasCount: -1 });
const all = components.schemas as Record<string, Json>;
const schemas: Record<string, Json> = {};
for (const open = [...ROOTS]; open.length > 0; ) {
  const name = open.pop()!;
  if (Object.hasOwn(schemas, name)) continue;
  let schema = stripped(all[name] ?? {});
  const members = KEPT[name];
  if (members && typeof schema === "object" && schema !== null && !Array.isArray(schema)) {
    const list = schema.anyOf ?? schema.oneOf;
    if (Array.isArray(list)) {
      const { oneOf: _oneOf, ...rest } = schema;
      schema = { ...rest, anyOf: list.filter((item) => members.includes(nameOf(item) ?? "")) };
    }
  }
  schemas[name] = schema;
  open.push(...references(schema));
}
const provenance = {
  source: "https://github.com/openai/openai-node, api_reference/openapi.transformed.yml",
  commit: "7b7d6ca71130d37ec09792c50056b47861f2eccf",
  version: `${info.title} ${info.version}`,
  license: `${info.license.name} (the description), © OpenAI`,
  reduction: "test/conformance/reduceSchemas.ts",
};
const sorted = Object.fromEntries(Object.entries(schemas).sort(([a], [b]) => (a < b ? -1 : 1)));
console.log(JSON.stringify({ provenance, components: { schemas: sorted } }, null, 1));

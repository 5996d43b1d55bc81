/** What is declared in the .proto files is served: every query, every enum by its name. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { composeModules } from "../app/compose.ts";
import { createRouter } from "../app/router.ts";
import { karatRoutes } from "./routes/karat.ts";

const PROTOS = join(import.meta.dirname, "../../proto/karat");

interface Field {
  readonly type: string;
  readonly name: string;
}

const queries: { path: string; response: string }[] = [];
const messages = new Map<string, Field[]>();
const enums = new Set<string>();

for (const file of readdirSync(PROTOS, { recursive: true, encoding: "utf8" }).filter((name) =>
  name.endsWith(".proto"),
)) {
  const text = readFileSync(join(PROTOS, file), "utf8").replace(/\/\/.*$/gm, "");
  const scope = /package ([\w.]+);/.exec(text)![1]!;
  const qualified = (type: string) => (type.includes(".") ? type : `${scope}.${type}`);
  for (const [, name] of text.matchAll(/^enum (\w+)/gm)) enums.add(`${scope}.${name}`);
  for (const [, name, body] of text.matchAll(/^message (\w+) \{([^}]*)\}/gm)) {
    const fields = [...body!.matchAll(/^\s*(?:repeated )?([\w.]+) (\w+) = \d+;/gm)];
    messages.set(
      `${scope}.${name}`,
      fields.map(([, type, field]) => ({ type: qualified(type!), name: camelCase(field!) })),
    );
  }
  const service = /service Query \{([\s\S]*?)\n\}/.exec(text)?.[1] ?? "";
  for (const [, name, response] of service.matchAll(/rpc (\w+)\(\w+\) returns \((\w+)\)/g)) {
    queries.push({ path: `/${scope}.Query/${name}`, response: `${scope}.${response}` });
  }
}

function camelCase(name: string): string {
  return name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** Names of the fields in a message, and in those within it, that hold enums. */
function enumFields(message: string): string[] {
  return (messages.get(message) ?? []).flatMap(({ type, name }) => (enums.has(type) ? [name] : enumFields(type)));
}

test("every query has one path", () => {
  expect(queries.length).toBeGreaterThan(10);
  expect(karatRoutes.map(({ query }) => query).sort()).toEqual(queries.map(({ path }) => path).sort());
});

test("every path is in the module's own namespace", () => {
  for (const { pattern, query } of karatRoutes) {
    expect(pattern.split("/").slice(1, 4)).toEqual(query.split(/[./]/).slice(1, 4));
  }
});

test("every enum of an answer has its name", () => {
  const wanted = queries.map(({ path, response }) => [path, [...new Set(enumFields(response))].sort()]);
  const formatted = karatRoutes.map(({ query, formats }) => [query, Object.keys(formats).sort()]);
  expect(new Map(formatted as [string, string[]][])).toEqual(new Map(wanted as [string, string[]][]));
});

test("the application answers every query that a path stands for", () => {
  const router = createRouter(composeModules().modules);
  for (const { query } of karatRoutes) expect([query, router.query(query)]).toEqual([query, expect.any(Function)]);
});

/**
 * A small part of JSON Schema (draft 7), enough for what the chain registry asks of chain.json and assetlist.json: an object's
 * fields, which of them must be there, and no others.
 */
export type Shape =
  | { readonly kind: "object"; readonly required: readonly string[]; readonly fields: Readonly<Record<string, Shape>> }
  | { readonly kind: "list"; readonly of: Shape; readonly min?: number }
  | { readonly kind: "text"; readonly pattern?: RegExp; readonly words?: readonly string[] }
  | { readonly kind: "number"; readonly whole?: boolean };

export const text: Shape = { kind: "text" };
export const words = (...allowed: string[]): Shape => ({ kind: "text", words: allowed });
export const matching = (pattern: RegExp): Shape => ({ kind: "text", pattern });
export const url = matching(/^https?:\/\/[^\s/]+/);
export const number: Shape = { kind: "number" };
export const listOf = (of: Shape, min = 0): Shape => ({ kind: "list", of, min });
export const object = (fields: Readonly<Record<string, Shape>>, ...required: string[]): Shape => ({
  kind: "object",
  required,
  fields,
});

/** What is wrong with a value, each with its path; nothing where it fits. */
export function faults(value: unknown, shape: Shape, path = "$"): string[] {
  switch (shape.kind) {
    case "text":
      if (typeof value !== "string" || value === "") return [`${path} is no text`];
      if (shape.pattern !== undefined && !shape.pattern.test(value)) return [`${path} does not match`];
      return shape.words === undefined || shape.words.includes(value) ? [] : [`${path} is none of the words`];
    case "number":
      return typeof value === "number" && (!shape.whole || Number.isInteger(value)) ? [] : [`${path} is no number`];
    case "list":
      if (!Array.isArray(value) || value.length < (shape.min ?? 0)) return [`${path} is no list`];
      return value.flatMap((item, at) => faults(item, shape.of, `${path}[${at}]`));
    case "object":
      return typeof value === "object" && value !== null && !Array.isArray(value)
        ? objectFaults(value, shape, path)
        : [`${path} is no object`];
  }
}

function objectFaults(value: object, shape: Extract<Shape, { kind: "object" }>, path: string): string[] {
  const missing = shape.required.filter((name) => !(name in value)).map((name) => `${path}.${name} is missing`);
  const inside = Object.entries(value).flatMap(([name, inner]) => {
    const field = Object.hasOwn(shape.fields, name) ? shape.fields[name] : undefined;
    return field === undefined ? [`${path}.${name} is unknown`] : faults(inner, field, `${path}.${name}`);
  });
  return [...missing, ...inside];
}

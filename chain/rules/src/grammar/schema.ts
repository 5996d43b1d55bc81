/** JSON Schema to grammar: the keywords of OpenAI's structured outputs and some more. */
import { RuleError } from "../errors.ts";
import { type Expression, ExpressionError, expressionOf } from "./expression.ts";
import { formatted, stringsOf } from "./formats.ts";
import * as json from "./json.ts";
import { choice, type Node, reference } from "./node.ts";
import { matching, newBudget } from "./strings.ts";

export const SCHEMA_LIMITS = { depth: 32, schemas: 4_096, enumValues: 1_024, count: 1_000_000 } as const;

/** Keywords that say nothing about which values are valid. */
const ANNOTATIONS = new Set(
  "title description default examples $schema $id $comment deprecated readOnly writeOnly $defs definitions discriminator strict".split(
    " ",
  ),
);

export interface SchemaOptions {
  /** Where the schema stands in the request. */
  readonly param: string;
  /** Refuse what cannot be enforced; otherwise it is left out, as a wish. */
  readonly strict: boolean;
}

type Fields = Readonly<Record<string, unknown>>;

/**
 * The grammar of the values of a schema; properties come in the schema's order. Throws `invalid_request` with the place of the first
 * keyword that is malformed, or, when strict, cannot be enforced.
 */
export function schemaNode(schema: unknown, options: SchemaOptions): Node {
  return new Compiler(schema, options).root();
}

class Compiler {
  readonly #schema: unknown;
  readonly #options: SchemaOptions;
  readonly #resolved = new Map<string, Node>();
  readonly #budget = newBudget();
  #count = 0;

  constructor(schema: unknown, options: SchemaOptions) {
    this.#schema = schema;
    this.#options = options;
  }

  root(): Node {
    const node = this.#node(this.#schema, "", 0);
    this.#resolved.set("#", node);
    return node;
  }

  #node(schema: unknown, path: string, depth: number): Node {
    if (schema === true) return json.anyValue;
    const fields = this.#fields(schema, path);
    if (++this.#count > SCHEMA_LIMITS.schemas) throw this.#refuse(path, "too many subschemas");
    if (depth > SCHEMA_LIMITS.depth) throw this.#refuse(path, "nested too deeply");
    const below = (value: unknown, key: string): Node => this.#node(value, `${path}.${key}`, depth + 1);
    const known = (...names: string[]): void => this.#onlyKnown(fields, path, names);

    if (fields.$ref !== undefined) {
      known("$ref");
      return this.#reference(fields.$ref, path, depth);
    }
    if (fields.const !== undefined) {
      known("const", "type");
      return json.literal(fields.const);
    }
    if (fields.enum !== undefined) {
      known("enum", "type");
      return choice(...this.#list(fields.enum, `${path}.enum`, SCHEMA_LIMITS.enumValues).map(json.literal));
    }
    for (const key of ["anyOf", "oneOf"]) {
      // Of alternatives that overlap, oneOf would forbid what both allow; that cannot be enforced.
      if (fields[key] === undefined || (key === "oneOf" && this.#options.strict)) continue;
      known(key, "type");
      const list = this.#list(fields[key], `${path}.${key}`, SCHEMA_LIMITS.enumValues);
      return choice(...list.map((item, i) => below(item, `${key}[${i}]`)));
    }
    if (Array.isArray(fields.allOf) && fields.allOf.length === 1) {
      known("allOf");
      return below(fields.allOf[0], "allOf[0]");
    }
    const types = this.#types(fields, path);
    if (types.length === 0) {
      known();
      return json.anyValue;
    }
    const nodes = types.map((type) => this.#typed(type, fields, path, below));
    known("type", "nullable", ...types.flatMap((type) => KEYWORDS[type] ?? []));
    if (fields.nullable === true && !types.includes("null")) nodes.push(json.nothing);
    return choice(...nodes);
  }

  #types({ type, properties, items }: Fields, path: string): string[] {
    if (type === undefined) return properties !== undefined ? ["object"] : items !== undefined ? ["array"] : [];
    const list = Array.isArray(type) ? type : [type];
    if (list.length === 0 || !list.every((name) => typeof name === "string" && Object.hasOwn(KEYWORDS, name))) {
      throw this.#refuse(`${path}.type`, "not a type of JSON Schema");
    }
    return [...new Set<string>(list)];
  }

  #typed(type: string, fields: Fields, path: string, below: (value: unknown, key: string) => Node): Node {
    switch (type) {
      case "string":
        return this.#string(fields, path);
      case "integer":
        return this.#number(fields, path, "integer");
      case "number":
        return this.#number(fields, path, "number");
      case "boolean":
        return json.boolean;
      case "null":
        return json.nothing;
      case "array": {
        const [least, most] = this.#bounds(fields, path, "minItems", "maxItems");
        return json.array(fields.items === undefined ? json.anyValue : below(fields.items, "items"), least, most);
      }
      default:
        return this.#object(fields, path, below);
    }
  }

  #string(fields: Fields, path: string): Node {
    const [least, most] = this.#bounds(fields, path, "minLength", "maxLength");
    const { pattern, format } = fields;
    const alone = pattern === undefined && typeof format === "string" ? stringsOf(format) : undefined;
    if (alone && alone.least >= least && alone.most <= most) return alone.node;
    const expressions = ["pattern", "format"].flatMap((key) =>
      fields[key] === undefined ? [] : (this.#enforced(`${path}.${key}`, () => expressionFor(key, fields[key])) ?? []),
    );
    if (expressions.length === 0) return json.string(least, most);
    const place = `${path}.${pattern === undefined ? "format" : "pattern"}`;
    const strings = this.#enforced(place, () => matching(expressions, { least, most }, this.#budget));
    return strings?.node ?? json.string(least, most);
  }

  /** What cannot be enforced is refused when strict, and left out otherwise. */
  #enforced<T>(path: string, make: () => T): T | undefined {
    try {
      return make();
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error;
      if (this.#options.strict) throw this.#refuse(path, error.message);
      return undefined;
    }
  }

  #number(fields: Fields, path: string, type: "integer" | "number"): Node {
    const digits = this.#digits(fields, path, type);
    const bound = (key: string): number | undefined => {
      const value = fields[key];
      if (value === undefined || (typeof value === "number" && Number.isFinite(value))) return value;
      throw this.#refuse(`${path}.${key}`, "must be a number");
    };
    const [least, most] = [bound("minimum"), bound("maximum")];
    const [above, under] = [bound("exclusiveMinimum"), bound("exclusiveMaximum")];
    const unbounded = json.decimal(digits);
    if ([least, most, above, under].every((value) => value === undefined)) return unbounded;
    const edge = Number.MAX_SAFE_INTEGER;
    const clipped = (value: number): bigint => BigInt(Math.max(-edge, Math.min(edge, value)));
    const low = Math.max(Math.ceil(least ?? -edge), above === undefined ? -edge : Math.floor(above) + 1);
    const high = Math.min(Math.floor(most ?? edge), under === undefined ? edge : Math.ceil(under) - 1);
    const node =
      json.numbersBetween(clipped(low), clipped(high), digits) ?? this.#unit(digits, [least ?? above, most ?? under]);
    if (node) return node;
    if (this.#options.strict) throw this.#refuse(path, "no number within these bounds can be generated");
    return unbounded;
  }

  /** Digits behind the point: what multiples of 1, 0.1, 0.01 … are about. Of other numbers they cannot be enforced. */
  #digits({ multipleOf }: Fields, path: string, type: "integer" | "number"): number {
    const digits = multipleOf === undefined ? -1 : DECIMALS.indexOf(multipleOf);
    if (this.#options.strict && multipleOf !== undefined && (digits < 0 || (type === "integer" && digits > 0))) {
      throw this.#refuse(`${path}.multipleOf`, "only multiples of 1, 0.1, 0.01 … can be enforced");
    }
    return type === "integer" ? 0 : digits < 0 ? DECIMALS.length - 1 : digits;
  }

  /** Bounds like 0 < x < 1, between two neighbouring integers. */
  #unit(digits: number, [least, most]: [number | undefined, number | undefined]): Node | undefined {
    if (digits === 0 || least === undefined || most === undefined) return undefined;
    return Number.isInteger(least) && most - least === 1 ? json.fractionsAbove(BigInt(least), digits) : undefined;
  }

  #object(fields: Fields, path: string, below: (value: unknown, key: string) => Node): Node {
    const { additionalProperties } = fields;
    const properties = fields.properties === undefined ? {} : this.#fields(fields.properties, `${path}.properties`);
    const listed = fields.required === undefined ? [] : this.#list(fields.required, `${path}.required`, 1_024, 0);
    if (!listed.every((name) => typeof name === "string")) throw this.#refuse(`${path}.required`, "a list of names");
    const required = new Set(listed);
    const names = [...new Set([...Object.keys(properties), ...listed])];
    if (names.length > SCHEMA_LIMITS.enumValues) throw this.#refuse(`${path}.properties`, "too many");
    const others = (): Node =>
      typeof additionalProperties === "object" && additionalProperties !== null
        ? below(additionalProperties, "additionalProperties")
        : json.anyValue;
    if (names.length === 0) return additionalProperties === false ? json.object([]) : json.map(others());
    return json.object(
      names.map((name) => {
        const declared = Object.hasOwn(properties, name);
        if (!declared && additionalProperties === false) throw this.#refuse(`${path}.required`, `${name} is forbidden`);
        const value = declared ? below(properties[name], `properties.${name}`) : others();
        return { name, value, required: required.has(name) };
      }),
    );
  }

  #reference(target: unknown, path: string, depth: number): Node {
    if (typeof target !== "string" || !target.startsWith("#")) throw this.#refuse(`${path}.$ref`, "must begin with #");
    if (!this.#resolved.has(target) && target !== "#") {
      let schema: unknown = this.#schema;
      for (const part of target.split("/").slice(1)) {
        const key = part.replaceAll("~1", "/").replaceAll("~0", "~");
        const fields: Fields = typeof schema === "object" && schema !== null ? { ...schema } : {};
        schema = Object.hasOwn(fields, key) ? fields[key] : undefined;
      }
      if (schema === undefined) throw this.#refuse(`${path}.$ref`, `there is nothing at ${target}`);
      // Known before it is compiled, so that it may refer to itself.
      let compiled: Node | undefined;
      this.#resolved.set(
        target,
        reference(() => compiled!),
      );
      compiled = this.#node(schema, target.replaceAll("/", "."), depth + 1);
    }
    return reference(() => this.#resolved.get(target)!);
  }

  #bounds(fields: Fields, path: string, least: string, most: string): [number, number] {
    const bound = (key: string, otherwise: number): number => {
      const value = fields[key] ?? otherwise;
      if (value === otherwise) return otherwise;
      if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= SCHEMA_LIMITS.count)
        return value;
      throw this.#refuse(`${path}.${key}`, "must be a small whole number");
    };
    const [from, to] = [bound(least, 0), bound(most, Number.POSITIVE_INFINITY)];
    if (from > to) throw this.#refuse(`${path}.${most}`, `less than ${least}`);
    return [from, to];
  }

  #onlyKnown(fields: Fields, path: string, names: readonly string[]): void {
    if (!this.#options.strict) return;
    for (const key of Object.keys(fields)) {
      if (ANNOTATIONS.has(key) || names.includes(key)) continue;
      throw this.#refuse(`${path}.${key}`, "this keyword cannot be enforced");
    }
  }

  #fields(value: unknown, path: string): Fields {
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Fields;
    throw this.#refuse(path, "must be an object");
  }

  #list(value: unknown, path: string, most: number, least = 1): unknown[] {
    if (Array.isArray(value) && value.length >= least && value.length <= most) return value;
    throw this.#refuse(path, `a list of ${least} to ${most}`);
  }

  #refuse(path: string, problem: string): RuleError {
    const param = `${this.#options.param}${path}`;
    return new RuleError("invalid_request", param, `${param}: ${problem}`);
  }
}

function expressionFor(key: string, value: unknown): Expression {
  if (typeof value !== "string") throw new ExpressionError("must be a string");
  const expression = key === "pattern" ? expressionOf(value) : formatted(value);
  if (expression) return expression;
  throw new ExpressionError("this format cannot be enforced");
}

/** As JSON.parse reads them; the place is the number of digits. */
const DECIMALS: readonly unknown[] = Array.from({ length: json.MOST_DIGITS + 1 }, (_, digits) =>
  Number(`1e-${digits}`),
);
const NUMBERS = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"];
/** What can be enforced of each type. */
const KEYWORDS: Readonly<Record<string, readonly string[]>> = {
  string: ["minLength", "maxLength", "pattern", "format"],
  integer: NUMBERS,
  number: NUMBERS,
  boolean: [],
  null: [],
  array: ["items", "minItems", "maxItems"],
  object: ["properties", "required", "additionalProperties"],
};

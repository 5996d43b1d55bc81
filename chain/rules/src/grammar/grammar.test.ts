import { Ajv } from "ajv";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isRuleError } from "../errors.ts";
import { type Constraint, constraintNode, readConstraint } from "./constraint.ts";
import type { Node } from "./node.ts";
import { schemaNode } from "./schema.ts";
import { CONTROL, pieces, STOP, vocabulary, walk } from "./testing.ts";
import { ConstrainedAnswer, TokenGrammar } from "./tokenConstraint.ts";
import { AnswerReader, readAnswer, writeCalls } from "./toolCalls.ts";

const node = (schema: unknown, strict = true): Node => schemaNode(schema, { param: "schema", strict });

const leaf = fc.oneof(
  fc.record({ type: fc.constant("string"), minLength: fc.nat(4), maxLength: fc.integer({ min: 4, max: 9 }) }),
  fc.constantFrom(
    { type: "string" },
    { type: "boolean" },
    { type: "null" },
    { type: ["integer", "null"] },
    { type: "number" },
    { type: "string", format: "date-time" },
    { type: "string", format: "ipv4" },
    { type: "string", pattern: "^[A-Z]{2}-\\d+$", maxLength: 9 },
    { type: "string", pattern: '"|\\\\|[^ -~]', minLength: 3, maxLength: 5 },
    { enum: ["ok", 3, null, "é\n"] },
    { const: { a: [1, "x"] } },
    { type: "number", exclusiveMinimum: 0, exclusiveMaximum: 1 },
  ),
  fc
    .tuple(fc.integer({ min: -2_000, max: 2_000 }), fc.nat(3_000), fc.constantFrom("integer", "number"))
    .map(([minimum, width, type]) => ({ type, minimum, maximum: minimum + width })),
);
const { schema } = fc.letrec((tie) => ({
  schema: fc.oneof(
    { maxDepth: 3 },
    leaf,
    fc.record({
      type: fc.constant("array"),
      items: tie("schema"),
      minItems: fc.nat(2),
      maxItems: fc.integer({ min: 2, max: 3 }),
    }),
    fc.record({ anyOf: fc.array(tie("schema"), { minLength: 1, maxLength: 3 }) }),
    fc
      .dictionary(
        fc.string({ maxLength: 4 }).filter((name) => name !== "__proto__"),
        tie("schema"),
        { maxKeys: 4 },
      )
      .chain((properties) =>
        fc
          .subarray(Object.keys(properties))
          .map((required) => ({ type: "object", properties, required, additionalProperties: false })),
      ),
  ),
}));

describe("a grammar of a JSON schema", () => {
  it("lets through nothing but values of the schema, and ends within the tokens there are", () => {
    const ajv = new Ajv({
      strict: false,
      formats: { "date-time": (value: string) => !Number.isNaN(Date.parse(value)), ipv4: true },
    });
    fc.assert(
      fc.property(schema, fc.nat(), fc.integer({ min: 0, max: 60 }), (wanted, seed, more) => {
        const root = node(wanted);
        const least = new TokenGrammar(root, vocabulary, "schema").start.cost + 1;
        const { text, stopped, ids } = walk(root, seed, least + more);
        expect(stopped, `${text} ends`).toBe(true);
        expect(ids.length).toBeLessThanOrEqual(least + more);
        expect(ajv.validate(wanted as object, JSON.parse(text)), text).toBe(true);
      }),
      { numRuns: 120 },
    );
  });

  it("says the same of every position whatever was asked of it before", () => {
    fc.assert(
      fc.property(schema, fc.nat(), (wanted, seed) => {
        const root = node(wanted);
        const { ids } = walk(root, seed, 60);
        const used = new TokenGrammar(root, vocabulary, "schema");
        for (let other = 0; other < 3; other++) walk(root, seed + other, 30);
        const [a, b] = [used, new TokenGrammar(root, vocabulary, "schema")].map(
          (grammar) => new ConstrainedAnswer(grammar, new Map(), vocabulary, 60),
        ) as [ConstrainedAnswer, ConstrainedAnswer];
        for (const id of ids) {
          expect([...a.next()!.ids]).toEqual([...b.next()!.ids]);
          expect(a.next()!.has(id)).toBe(true);
          a.accept(id);
          b.accept(id);
        }
      }),
      { numRuns: 30 },
    );
  });

  it("gives multiples of 1, 0.1, 0.01 … their digits behind the point, within bounds, too", () => {
    const cases: [object, RegExp, (value: number) => boolean][] = [
      [{ type: "number", multipleOf: 0.01 }, /^-?\d+(\.\d{1,2})?$/, () => true],
      [{ type: "number", multipleOf: 0.1, minimum: -2, maximum: 3 }, /^-?\d(\.\d)?$/, (x) => x >= -2 && x <= 3],
      [{ type: "number", multipleOf: 1, minimum: 5, maximum: 70 }, /^\d+$/, (x) => x >= 5 && x <= 70],
      [{ type: "number", multipleOf: 0.001, exclusiveMinimum: 0, exclusiveMaximum: 1 }, /^0\.\d{1,3}$/, (x) => x > 0],
      [{ type: "integer", multipleOf: 1 }, /^-?\d+$/, () => true],
    ];
    for (const [wanted, form, valid] of cases) {
      for (let seed = 0; seed < 30; seed++) {
        const { text } = walk(node(wanted), seed, 40);
        expect(text).toMatch(form);
        expect(valid(JSON.parse(text)), text).toBe(true);
      }
    }
  });

  it("keeps the order of the properties and knows recursion", () => {
    const tree = {
      type: "object",
      properties: { z: { type: "integer" }, a: { anyOf: [{ $ref: "#/$defs/leaf" }, { $ref: "#" }] } },
      required: ["z", "a"],
      additionalProperties: false,
      $defs: { leaf: { type: "null" } },
    };
    for (let seed = 0; seed < 20; seed++) {
      const { text } = walk(node(tree), seed, 60);
      expect(text).toMatch(/^\{"z": ?-?\d+, ?"a": ?(null|\{)/);
      JSON.parse(text);
    }
  });

  it("is cut off where the maximum is too small for any value", () => {
    const { stopped, ids } = walk(
      node({ type: "object", properties: { abcdefgh: { type: "integer" } }, required: ["abcdefgh"] }),
      1,
      4,
    );
    expect([stopped, ids.length]).toEqual([false, 4]);
  });

  it("names the keyword that cannot be enforced, where strictness is asked for", () => {
    const cases: [string, object][] = [
      ["schema.properties.a.pattern", { type: "object", properties: { a: { type: "string", pattern: "(?=x)" } } }],
      ["schema.oneOf", { oneOf: [{ type: "string" }] }],
      ["schema.items.format", { type: "array", items: { type: "string", format: "regex" } }],
      ["schema.uniqueItems", { type: "array", uniqueItems: true }],
      ["schema.multipleOf", { type: "number", multipleOf: 0.5 }],
      ["schema.multipleOf", { type: "integer", multipleOf: 0.1 }],
      ["schema.multipleOf", { type: "number", multipleOf: "1" }],
      ["schema.type", { type: "text" }],
      ["schema.$ref", { $ref: "#/$defs/gone" }],
      ["schema.enum", { enum: [] }],
      ["schema.maxItems", { type: "array", minItems: 3, maxItems: 2 }],
    ];
    for (const [param, wanted] of cases) {
      let thrown: unknown;
      try {
        node(wanted);
      } catch (error) {
        thrown = error;
      }
      expect(isRuleError(thrown, "invalid_request") && thrown.param, param).toBe(param);
    }
    expect(() => node({ type: "string", pattern: "(?=x)" }, false)).not.toThrow();
    expect(() => new TokenGrammar(node({ $ref: "#" }), vocabulary, "schema")).toThrow();
  });
});

const weather = {
  type: "function",
  function: {
    name: "weather",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
} as const;
const clock = { type: "function", function: { name: "clock" } } as const;
const constraint = (fields: object): Constraint => readConstraint({ tools: [weather, clock], ...fields }, true);

describe("tools", () => {
  it("are called where they have to be, and only those that may", () => {
    for (let seed = 0; seed < 30; seed++) {
      const required = readAnswer(walk(constraintNode(constraint({ tool_choice: "required" }))!, seed, 150).text);
      expect(required.text).toBeNull();
      expect(required.calls.length).toBeGreaterThan(0);
      for (const call of required.calls) {
        const parsed = JSON.parse(call.arguments);
        if (call.name === "weather") expect(typeof parsed.city).toBe("string");
        else expect([call.name, parsed]).toEqual(["clock", {}]);
      }
      const tool_choice = { type: "function", function: { name: "clock" } };
      const named = readAnswer(walk(constraintNode(constraint({ tool_choice }))!, seed, 150).text);
      expect(named.calls).toEqual([{ name: "clock", arguments: "{}" }]);
      const single = constraint({ tool_choice: "required", parallel_tool_calls: false });
      expect(readAnswer(walk(constraintNode(single)!, seed, 150).text).calls).toHaveLength(1);
    }
  });

  it("are called properly once the answer begins to, and text is free until then", () => {
    const grammar = new TokenGrammar(constraintNode(constraint({}))!, vocabulary, "tools");
    const answer = new ConstrainedAnswer(grammar, new Map(), vocabulary, 200);
    const byte = (character: string): number => character.charCodeAt(0);
    for (const character of "So <<tool_call>") {
      const allowed = answer.next()!;
      expect([allowed.has(STOP), allowed.has(CONTROL), allowed.has(0xff)]).toEqual([true, true, true]);
      answer.accept(byte(character));
    }
    const marked = answer.next()!;
    expect([marked.has(pieces.findIndex((piece) => piece.length === 2 && piece[0] === 62))]).toEqual([true]);
    answer.accept(byte("\n"));
    expect([...answer.next()!.ids].map((id) => new TextDecoder().decode(pieces[id]))).toEqual(["{", '{"']);
  });

  it("stand in one text that is read back whole or in any pieces", () => {
    const calls = [
      { name: "weather", arguments: '{"city": "a}\\"<tool_call>\\n{"}' },
      { name: "clock", arguments: "{}" },
    ];
    const answer = `Let me see <tool ${writeCalls(calls)}`;
    expect(readAnswer(answer)).toEqual({ text: "Let me see <tool ", calls });
    expect(readAnswer("plain <tool_cal")).toEqual({ text: "plain <tool_cal", calls: [] });
    fc.assert(
      fc.property(fc.array(fc.nat(answer.length), { maxLength: 12 }), (cuts) => {
        const reader = new AnswerReader();
        let text = "";
        const read: { name: string; arguments: string }[] = [];
        const ends = [...cuts, answer.length].sort((a, b) => a - b);
        const all = ends.flatMap((end, i) => reader.push(answer.slice(ends[i - 1] ?? 0, end)));
        for (const piece of [...all, ...reader.finish()]) {
          if (piece.type === "text") text += piece.text;
          else if (piece.type === "call") read.push({ name: piece.name, arguments: "" });
          else read[piece.index]!.arguments += piece.text;
        }
        expect([text, read]).toEqual(["Let me see <tool ", calls]);
      }),
    );
  });

  it("and a format together allow either", () => {
    const both = constraint({ response_format: { type: "json_object" } });
    const seen = new Set<boolean>();
    for (let seed = 0; seed < 40; seed++) {
      const { text } = walk(constraintNode(both)!, seed, 120);
      const { calls } = readAnswer(text);
      seen.add(calls.length > 0);
      if (calls.length === 0) expect(typeof JSON.parse(text)).toBe("object");
    }
    expect(seen.size).toBe(2);
  });
});

describe("a bias", () => {
  it("names the logits it needs, so that the best candidates are among them", () => {
    const bias = new Map([
      [1, 50],
      [2, -100],
    ]);
    const answer = new ConstrainedAnswer(undefined, bias, vocabulary, 5);
    expect(answer.needed(undefined, 64)).toEqual({ top: 65, ids: [1, 2] });
    const logits = [
      [1, -9],
      [2, 0],
      [3, -1],
    ] as const;
    expect(answer.candidates(undefined, logits)).toEqual([
      [1, 41],
      [2, -100],
      [3, -1],
    ]);
  });
});

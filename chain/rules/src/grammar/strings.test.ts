import { isIP } from "node:net";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isRuleError } from "../errors.ts";
import { schemaNode } from "./schema.ts";
import { random, vocabulary, walk } from "./testing.ts";
import { TokenGrammar } from "./tokenConstraint.ts";

const node = (schema: object, strict = true) => schemaNode({ type: "string", ...schema }, { param: "schema", strict });
const encoder = new TextEncoder();

/** Whether a grammar takes a string as JSON spells it, byte by byte. */
function takes(grammar: TokenGrammar, value: string): boolean {
  let state: TokenGrammar["start"] | undefined = grammar.start;
  for (const byte of encoder.encode(JSON.stringify(value))) state = state && grammar.step(state, byte);
  return state?.accepts === true;
}
const written = (schema: object, seed: number, maxTokens = 4_000): string => {
  const { text, stopped } = walk(node(schema), seed, maxTokens);
  expect(stopped, text).toBe(true);
  return JSON.parse(text);
};

/** Expressions over few characters, so that random strings often match. */
const set = fc.constantFrom(
  "a",
  "b",
  ".",
  "[ab]",
  "[^a]",
  "\\d",
  "\\W",
  "\\u0061",
  "é",
  "[\\u{1f600}-\\u{1f64f}b]",
  '"',
  "\\\\",
  "\\n",
);
const { expression } = fc.letrec<{ expression: string }>((tie) => ({
  expression: fc.oneof(
    { maxDepth: 4 },
    set,
    fc.constantFrom("^", "$"),
    fc.tuple(tie("expression"), tie("expression")).map(([a, b]) => a + b),
    fc.tuple(tie("expression"), tie("expression")).map(([a, b]) => `(?:${a}|${b})`),
    fc
      .tuple(tie("expression"), fc.constantFrom("*", "+", "?", "{2}", "{0,2}", "{1,}", "*?"))
      .map(([a, n]) => `(${a})${n}`),
  ),
}));
const string = fc
  .array(fc.constantFrom("a", "b", "0", " ", "é", "😀", '"', "\\", "\n"), { maxLength: 6 })
  .map((list) => list.join(""));

describe("a pattern", () => {
  it("takes the strings that the same expression of ECMAScript matches, and no others", () => {
    fc.assert(
      fc.property(
        expression,
        fc.array(string, { minLength: 1, maxLength: 8 }),
        fc.nat(3),
        fc.nat(4),
        (pattern, values, least, more) => {
          const bounds = { minLength: least, maxLength: least + more };
          const oracle = new RegExp(pattern, "u");
          const matches = (value: string): boolean => oracle.test(value);
          const short = (value: string): boolean => [...value].length >= least && [...value].length <= least + more;
          for (const [schema, valid] of [
            [{ pattern }, matches],
            [{ pattern, ...bounds }, (value: string) => matches(value) && short(value)],
          ] as const) {
            let grammar: TokenGrammar;
            try {
              grammar = new TokenGrammar(node(schema), vocabulary, "schema");
            } catch (error) {
              // Nothing matches it, so none of these may.
              expect(isRuleError(error, "invalid_request")).toBe(true);
              expect(values.filter(valid)).toEqual([]);
              continue;
            }
            for (const value of values) expect(takes(grammar, value), JSON.stringify(value)).toBe(valid(value));
          }
        },
      ),
      { numRuns: 400 },
    );
  });

  it("is what an answer is written to, whatever the model would like", () => {
    fc.assert(
      fc.property(expression, fc.nat(), (pattern, seed) => {
        let root: ReturnType<typeof node>;
        try {
          root = node({ pattern });
        } catch {
          return;
        }
        const least = new TokenGrammar(root, vocabulary, "schema").start.cost + 1;
        const { text, stopped } = walk(root, seed, least + (seed % 12));
        expect(stopped, text).toBe(true);
        expect(JSON.parse(text)).toMatch(new RegExp(pattern, "u"));
      }),
      { numRuns: 200 },
    );
  });

  it("keeps within bounds and a format at once", () => {
    for (let seed = 0; seed < 30; seed++) {
      expect(written({ pattern: "^[a-z]+$", minLength: 3, maxLength: 5 }, seed)).toMatch(/^[a-z]{3,5}$/);
      expect(written({ pattern: "\\.org$", format: "hostname" }, seed)).toMatch(/^[a-z0-9.]+\.org$/);
      expect(written({ pattern: "^(?<year>20\\d\\d)", format: "date" }, seed)).toMatch(/^20\d\d-\d\d-\d\d$/);
    }
  });

  it("counts text that must follow by the tokens that spell it", () => {
    // `name` is one token; each of its letters is one, too.
    const cost = (pattern: string): number => new TokenGrammar(node({ pattern }), vocabulary, "schema").start.cost;
    expect(cost("^name$")).toBe(3);
    expect(cost("^[n][A-Za][m]e$")).toBe(6);
  });

  it.each([
    ["a look ahead", "^(?=a)b"],
    ["a look behind", "(?<!a)b"],
    ["a reference", "(a)\\1"],
    ["a reference by name", "(?<x>a)\\k<x>"],
    ["the edge of a word", "\\ba"],
    ["a property of characters", "^\\p{L}$"],
    ["a group that is not closed", "(a"],
    ["a bracket that closes nothing", "a)"],
    ["a class that is not closed", "[a"],
    ["a count of nothing", "+a"],
    ["a range that runs backwards", "[b-a]"],
    ["a count too high", "a{1001}"],
    ["more states than there may be", "^(.{0,1000}){9}$"],
    ["states without number", "^(a|b)*a(a|b){30}$"],
    ["a length", "x".repeat(1_025)],
    ["nothing that matches", "^a$b"],
    ["nesting", "(".repeat(40) + ")".repeat(40)],
    ["no text", 7],
  ])("is refused by its name for %s, and left out where strictness is not asked for", (_, pattern) => {
    let thrown: unknown;
    try {
      node({ pattern });
    } catch (error) {
      thrown = error;
    }
    expect(isRuleError(thrown, "invalid_request") && thrown.param).toBe("schema.pattern");
    expect(takes(new TokenGrammar(node({ pattern, minLength: 1 }, false), vocabulary, "schema"), "!")).toBe(true);
  });

  it("costs little, however many there are and whatever they ask for", () => {
    const costly = [
      "^(a|b)*a(a|b){12}$",
      "(a|b)*a(a|b){12}",
      "^.{0,1000}$",
      "(x+x+)+y",
      "^([a-z]{1,30}){1,30}$",
      "((((a{0,9}){0,9}){0,9}){0,9}){0,9}",
    ];
    const properties = Object.fromEntries(
      Array.from({ length: 400 }, (_, i) => [`p${i}`, { type: "string", pattern: costly[i % costly.length] }]),
    );
    const before = process.cpuUsage();
    expect(() => schemaNode({ type: "object", properties }, { param: "schema", strict: true })).toThrow();
    const { user, system } = process.cpuUsage(before);
    expect((user + system) / 1e6).toBeLessThan(10);
  });
});

describe("a format", () => {
  const label = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/;
  const isDate = (value: string): boolean => new Date(`${value}T00:00:00Z`).toISOString().startsWith(value);
  const isHost = (value: string): boolean => value.length <= 253 && value.split(".").every((part) => label.test(part));
  const DURATION = /^P(?!$)(\d+Y)?(\d+M)?(\d+W)?(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+S)?)?$/;
  it.each<[string, (value: string) => boolean]>([
    ["date", isDate],
    ["time", (value) => !Number.isNaN(Date.parse(`2020-01-01T${value}`))],
    ["date-time", (value) => isDate(value.slice(0, 10)) && !Number.isNaN(Date.parse(value))],
    ["duration", (value) => DURATION.test(value)],
    ["email", (value) => /^[a-z0-9._]{1,64}@/.test(value.slice(0, 66)) && isHost(value.split("@")[1]!)],
    ["hostname", isHost],
    ["ipv4", (value) => isIP(value) === 4],
    ["ipv6", (value) => isIP(value) === 6],
    ["uuid", (value) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(value)],
    ["uri", URL.canParse],
  ])("%s is what its readers read", (format, valid) => {
    const next = random(7);
    for (let i = 0; i < 40; i++) {
      const value = written({ format }, Math.floor(next() * 2 ** 31));
      expect(valid(value), value).toBe(true);
    }
  });

  it("knows addresses, durations and times by their first letters", () => {
    const knows = (format: string, ...values: string[]): boolean[] => {
      const grammar = new TokenGrammar(node({ format }), vocabulary, "schema");
      return values.map((value) => takes(grammar, value));
    };
    expect(
      knows("ipv6", "::", "::1", "2001:db8::8a2e:370:7334", "1:2:3:4:5:6:7:8", "1::2::3", "1:2:3:4:5:6:7"),
    ).toEqual([true, true, true, true, false, false]);
    expect(knows("ipv4", "0.0.0.0", "255.255.255.255", "256.1.1.1", "01.1.1.1")).toEqual([true, true, false, false]);
    expect(knows("duration", "P1Y2M3DT4H5M6S", "PT0S", "P3W", "P1YT1S", "P", "PT", "P1Y2D", "1D")).toEqual([
      true,
      true,
      true,
      true,
      false,
      false,
      false,
      false,
    ]);
  });
});

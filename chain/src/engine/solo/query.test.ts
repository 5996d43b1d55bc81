import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { matchesEvents, matchesText, parseQuery } from "./query.ts";

describe("the query language", () => {
  test("reads every operator and kind of argument", () => {
    expect(
      parseQuery(
        "tm.event='Tx' AND a.b<5 AND a.c>=1.5 AND d.e CONTAINS 'x y' AND f EXISTS AND t<=TIME 2026-01-01T00:00:00Z AND t>DATE 2025-01-02",
      ),
    ).toEqual([
      { tag: "tm.event", op: "=", arg: { kind: "string", text: "Tx" } },
      { tag: "a.b", op: "<", arg: { kind: "number", text: "5" } },
      { tag: "a.c", op: ">=", arg: { kind: "number", text: "1.5" } },
      { tag: "d.e", op: "CONTAINS", arg: { kind: "string", text: "x y" } },
      { tag: "f", op: "EXISTS" },
      { tag: "t", op: "<=", arg: { kind: "time", text: "2026-01-01T00:00:00Z" } },
      { tag: "t", op: ">", arg: { kind: "date", text: "2025-01-02" } },
    ]);
  });

  test.each([
    "",
    "a",
    "a=",
    "a='x",
    "a='x' OR b='y'",
    "a<'x'",
    "a CONTAINS 5",
    "='x'",
    "a='x' AND",
    "a='x' b='y'",
    "!",
  ])("refuses %j", (text) => {
    expect(() => parseQuery(text)).toThrow(expect.objectContaining({ code: "engine/bad-query" }));
  });

  test("no text makes it fail in any other way", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 60 }), (text) => {
        try {
          parseQuery(text);
        } catch (error) {
          expect(error).toMatchObject({ code: "engine/bad-query" });
        }
      }),
    );
  });
});

describe("matching", () => {
  const events = new Map([
    ["tx.height", ["7"]],
    ["transfer.amount", ["12coin", "40"]],
    ["set.key", ["colour"]],
  ]);

  test.each([
    ["tx.height=7", true],
    ["tx.height='7'", true],
    ["tx.height>7", false],
    ["transfer.amount=12", true],
    ["transfer.amount>39.5 AND set.key='colour'", true],
    ["transfer.amount>40", false],
    ["set.key CONTAINS 'lou'", true],
    ["set.key EXISTS", true],
    ["set.other EXISTS", false],
  ])("a subscription to %s hears the event: %s", (text, heard) => {
    expect(matchesEvents(parseQuery(text), events)).toBe(heard);
  });

  test("the index compares whole values: numbers of any size exactly, text literally", () => {
    const holds = (text: string, value: string) => matchesText(parseQuery(text)[0]!, value);
    expect(holds("a>9007199254740992", "9007199254740993")).toBe(true);
    expect(holds("a>1", "12coin")).toBe(false);
    expect(holds("a=12", "12coin")).toBe(false);
    expect(holds("a=1.0", "1")).toBe(false);
    expect(holds("a>=1.0", "1")).toBe(true);
    expect(holds("a>TIME 2026-01-01T00:00:00Z", "2026-01-01T00:00:00.5Z")).toBe(true);
  });
});

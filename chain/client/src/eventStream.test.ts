import { utf8 } from "@karat/common";
import fc from "fast-check";
import { expect, test } from "vitest";
import { EventReader, eventText, type ServerEvent } from "./eventStream.ts";

const line = fc.string({ unit: fc.constantFrom("a", "é", ":", " ", "{", '"', "\u2028") });
const event: fc.Arbitrary<ServerEvent> = fc.record({
  name: fc.option(line, { nil: undefined }),
  data: fc.array(line, { minLength: 1, maxLength: 3 }).map((lines) => lines.join("\n")),
});

test("events are read as they were written, however their bytes are cut and their lines end", () => {
  fc.assert(
    fc.property(
      fc.array(event),
      fc.constantFrom("\n", "\r\n", "\r"),
      fc.integer({ min: 1, max: 9 }),
      (events, end, size) => {
        const bytes = utf8(events.map(eventText).join("").replaceAll("\n", end) + (end === "\r" ? ": no end" : ""));
        const reader = new EventReader();
        const read: ServerEvent[] = [];
        for (let at = 0; at < bytes.length; at += size) read.push(...reader.push(bytes.slice(at, at + size)));
        expect(read).toEqual(events);
      },
    ),
  );
});

test("comments, other fields and events without data are left out, and a space behind the colon is none of the value", () => {
  const text = ": hello\n\nid: 7\nevent: x\n\ndata:1\ndata: 2\ndata\nretry: 3\n\n";
  expect(new EventReader().push(utf8(text))).toEqual([{ name: undefined, data: "1\n2\n" }]);
});

test("an event without an end is refused", () => {
  const reader = new EventReader();
  const push = () => {
    for (let i = 0; i < 5; i++) reader.push(new Uint8Array(1_048_576).fill(65));
  };
  expect(push).toThrow(expect.objectContaining({ code: "malformed_stream" }));
});

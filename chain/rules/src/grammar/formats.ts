/** Formats of strings that can be generated; each a subset of what the format allows. */
import { choice, type Node, oneOf, optional, repeat, sequence, text } from "./node.ts";

const digit = oneOf("0-9");
const digits = (count: number): Node => repeat(digit, count, count);
const hex = (count: number): Node => repeat(oneOf("0-9a-f"), count, count);
const month = choice(sequence(text("0"), oneOf("1-9")), sequence(text("1"), oneOf("0-2")));
/** Up to the 28th, which every month has. */
const day = choice(sequence(text("0"), oneOf("1-9")), sequence(text("1"), digit), sequence(text("2"), oneOf("0-8")));
const sixty = sequence(oneOf("0-5"), digit);
const hour = choice(sequence(oneOf("01"), digit), sequence(text("2"), oneOf("0-3")));
const date = sequence(oneOf("12"), digits(3), text("-"), month, text("-"), day);
const time = sequence(hour, text(":"), sixty, text(":"), sixty, text("Z"));
const octet = choice(
  digit,
  sequence(oneOf("1-9"), digit),
  sequence(text("1"), digits(2)),
  sequence(text("2"), choice(sequence(oneOf("0-4"), digit), sequence(text("5"), oneOf("0-5")))),
);
const word = repeat(oneOf("a-z0-9"), 1, 32);
const domain = sequence(word, repeat(sequence(text("."), word), 0, 3), text("."), repeat(oneOf("a-z"), 2, 8));
const dash = text("-");

const FORMATS: Readonly<Record<string, Node>> = {
  date,
  time,
  "date-time": sequence(date, text("T"), time),
  // Version 4, variant 1: readers with a pattern of their own want both digits right.
  uuid: sequence(hex(8), dash, hex(4), dash, text("4"), hex(3), dash, oneOf("89ab"), hex(3), dash, hex(12)),
  email: sequence(word, optional(sequence(oneOf("._"), word)), text("@"), domain),
  hostname: domain,
  ipv4: sequence(octet, text("."), octet, text("."), octet, text("."), octet),
  uri: sequence(text("https://"), domain, repeat(sequence(text("/"), word), 0, 8)),
};

/** The node of a JSON string of a format, with its quotes. */
export const formatted = (format: string): Node | undefined =>
  Object.hasOwn(FORMATS, format) ? sequence(text('"'), FORMATS[format]!, text('"')) : undefined;

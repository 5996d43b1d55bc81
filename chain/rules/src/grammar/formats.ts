/** Formats of strings that can be generated; each a subset of what the format allows. */
import { type Expression, expressionOf } from "./expression.ts";
import { matching, newBudget, type Strings } from "./strings.ts";

/** Up to the 28th, which every month has. */
const DATE = "[12]\\d{3}-(0[1-9]|1[0-2])-(0[1-9]|1\\d|2[0-8])";
const TIME = "([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\dZ";
const DOMAIN = "[a-z0-9]{1,32}(\\.[a-z0-9]{1,32}){0,3}\\.[a-z]{2,8}";
const OCTET = "(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
const GROUP = "[0-9a-f]{1,4}";

/** A number and its unit, with what may follow: units come in their order and leave none out (RFC 3339, appendix A). */
const units = (...names: string[]): string =>
  names.reduceRight((smaller, name) => `(0|[1-9]\\d{0,3})${name}${smaller && `(${smaller})?`}`, "");
const chains = (...names: string[]): string => names.map((_, i) => units(...names.slice(i))).join("|");
const DURATION = `P((${chains("Y", "M", "D")})(T(${chains("H", "M", "S")}))?|T(${chains("H", "M", "S")})|${units("W")})`;

/** Two groups of zeros or more, left out once, or none. */
const IPV6 = [
  `(${GROUP}:){7}${GROUP}`,
  ...[1, 2, 3, 4, 5, 6].map((before) => `${GROUP}(:${GROUP}){${before - 1}}::${upTo(6 - before)}`),
  `::${upTo(6)}`,
].join("|");
function upTo(groups: number): string {
  return groups === 0 ? "" : `(${GROUP}(:${GROUP}){0,${groups - 1}})?`;
}

const FORMATS: Readonly<Record<string, string>> = {
  date: DATE,
  time: TIME,
  "date-time": `${DATE}T${TIME}`,
  duration: DURATION,
  // Version 4, variant 1: readers with a pattern of their own want both digits right.
  uuid: "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
  email: `[a-z0-9]{1,32}([._][a-z0-9]{1,31})?@${DOMAIN}`,
  hostname: DOMAIN,
  ipv4: `${OCTET}(\\.${OCTET}){3}`,
  ipv6: IPV6,
  uri: `https://${DOMAIN}(/[a-z0-9]{1,32}){0,8}`,
};

export const formatted = (format: string): Expression | undefined =>
  Object.hasOwn(FORMATS, format) ? expressionOf(`^(${FORMATS[format]!})$`) : undefined;

const known = new Map<string, Strings>();

/** All strings of a format, worked out once. */
export function stringsOf(format: string): Strings | undefined {
  const expression = formatted(format);
  const strings =
    known.get(format) ??
    (expression && matching([expression], { least: 0, most: Number.POSITIVE_INFINITY }, newBudget()));
  if (strings) known.set(format, strings);
  return strings;
}

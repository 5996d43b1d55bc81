const TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?Z$/;

/** The encoding a string shows: what a client's decoder depends on. */
function encodingOf(text: string): string {
  if (TIME.test(text)) return "time";
  if (/^-?\d+$/.test(text) && text.length < 20) return "decimal";
  if (/^([0-9A-F]{40}|[0-9A-F]{64})$/.test(text)) return "hex";
  // A hash or key, and a signature or private key.
  if (/^[A-Za-z0-9+/]{43}=$/.test(text)) return "base64 of 32 bytes";
  if (/^[A-Za-z0-9+/]{86}==$/.test(text)) return "base64 of 64 bytes";
  return "text";
}

const kindOf = (value: unknown): string =>
  value === null
    ? "null"
    : Array.isArray(value)
      ? "list"
      : typeof value === "string"
        ? encodingOf(value)
        : typeof value;

// Values may differ in these ways without a difference in shape: an empty list or bytes is null, a free text may look like anything.
const COMPATIBLE = new Set([
  "null list",
  "list null",
  "null text",
  "text null",
  "text decimal",
  "decimal text",
  "null object",
]);

/**
 * Where `actual` differs in keys, types or encodings from `recorded`, as paths. What lies under an `optional` path is not compared.
 * Lists compare by their first elements. The application's own state in a genesis is not compared.
 */
export function shapeDifferences(
  recorded: unknown,
  actual: unknown,
  optional: readonly string[] = [],
  path = "",
): string[] {
  if (optional.includes(path) || path.endsWith("app_state")) return [];
  const [want, got] = [kindOf(recorded), kindOf(actual)];
  if (want !== got && !COMPATIBLE.has(`${want} ${got}`)) return [`${path}: recorded ${want}, got ${got}`];
  if (Array.isArray(recorded) && Array.isArray(actual)) {
    return recorded.length > 0 && actual.length > 0
      ? shapeDifferences(recorded[0], actual[0], optional, `${path}[]`)
      : [];
  }
  if (want !== "object" || got !== "object") return [];
  const [a, b] = [recorded as Record<string, unknown>, actual as Record<string, unknown>];
  const at = (key: string) => (path === "" ? key : `${path}.${key}`);
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].flatMap((key) => {
    if (!(key in a)) return [`${at(key)}: not recorded`];
    return key in b ? shapeDifferences(a[key], b[key], optional, at(key)) : [`${at(key)}: missing`];
  });
}

/**
 * Errors are data: a stable code, the values that failed, and one rendered sentence for people.
 * Callers and tests look at `code` and `data`; nobody parses `message`.
 */
export class KaratError<C extends string = string> extends Error {
  override readonly name = "KaratError";
  readonly code: C;
  readonly data: Readonly<Record<string, unknown>>;

  constructor(code: C, message: string, data: Readonly<Record<string, unknown>> = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.data = data;
  }
}

/** True when `error` is a KaratError, of one of the given codes where any are given. */
export function isKaratError(error: unknown, ...codes: string[]): error is KaratError {
  return error instanceof KaratError && (codes.length === 0 || codes.includes(error.code));
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

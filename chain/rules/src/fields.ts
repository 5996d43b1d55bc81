/** What readers of request bodies share: a field is present, is an object, or is refused by its name. */
import { RuleError } from "./errors.ts";

export type Fields = Readonly<Record<string, unknown>>;

/** Null means absent. */
export const present = (value: unknown): boolean => value !== undefined && value !== null;

export const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Throws RuleError `invalid_request` for what is no object. */
export function fieldsOf(value: unknown, param: string): Fields {
  if (isFields(value)) return value;
  throw refuse(param, "must be an object");
}

export function refuse(param: string, problem: string, value?: unknown): RuleError {
  const shown = ["string", "number", "boolean"].includes(typeof value) ? { value } : {};
  return new RuleError("invalid_request", param, `${param}: ${problem}`, shown);
}

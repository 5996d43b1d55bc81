import type { ErrorKind } from "../../app/errors.ts";

const error = (code: number): ErrorKind => ({ codespace: "params", code });

/** Append-only. */
export const PARAMS_ERRORS = {
  /** A parameter is outside its range, or contradicts another one. */
  invalidParams: error(2),
  /** A model's description is incomplete, or its id is taken. */
  invalidModel: error(3),
} as const;

import type { ErrorKind } from "../../app/errors.ts";

const error = (code: number): ErrorKind => ({ codespace: "slashing", code });

/** Append-only. Codes are those of the Cosmos SDK where it has one. */
export const SLASHING_ERRORS = {
  noValidator: error(3),
  /** The jail time is not over, or the validator has signed two votes for one height. */
  stillJailed: error(4),
  notJailed: error(5),
} as const;

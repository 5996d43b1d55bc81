import type { ErrorKind } from "../../app/errors.ts";

const error = (code: number): ErrorKind => ({ codespace: "reward", code });

/** Append-only. */
export const REWARD_ERRORS = {
  /** Nothing was earned in the epoch, or it expired. */
  nothingToClaim: error(2),
  alreadyClaimed: error(3),
  /** The epoch is not settled yet. */
  notSettled: error(4),
} as const;

import type { ErrorKind } from "../../app/errors.ts";

const error = (code: number): ErrorKind => ({ codespace: "epoch", code });

/** Append-only. */
export const EPOCH_ERRORS = {
  /** The beacon of this height is not known yet, or forgotten. */
  beaconUnavailable: error(2),
} as const;

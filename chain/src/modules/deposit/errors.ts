import type { ErrorKind } from "../../app/errors.ts";

const error = (code: number): ErrorKind => ({ codespace: "deposit", code });

/** Append-only. */
export const DEPOSIT_ERRORS = {
  /** The spendable part (available − refunding) is smaller than what is asked for. */
  insufficientDeposit: error(2),
  /** Withdrawal without a refund request. */
  noRefund: error(3),
  /** The refund lock is not over. */
  stillLocked: error(4),
} as const;

import type { ErrorKind } from "../../app/errors.ts";

const kind = (code: number): ErrorKind => ({ codespace: "verification", code });

/** Results of verdicts and refusals of whole messages. Append only. */
export const ERRORS = {
  /** A batch is empty or holds more than MAX_RECORDS. */
  batchSize: kind(2),
  /** The sender is not the validator address of a participant. */
  unknownSender: kind(3),
  /** Not drawn for a check, or forgotten. */
  unknownCheck: kind(4),
  /** The sender has no duty in this check. */
  notDrawn: kind(5),
  /** After the deadline, or the duty went to another. */
  late: kind(6),
  /** Answered with another verdict. */
  alreadyAnswered: kind(7),
  /** No such verdict, bucket beyond 10, evidence hash not 32 bytes. */
  invalidVerdict: kind(8),
  /** No edge leads from the check's status by this step. */
  illegalStep: kind(9),
  /** No commitment to own values, which a verdict of VALID or INVALID must have before it. */
  notCommitted: kind(10),
  /** The verdict's values, sampling statistics and salt are not what was committed. */
  commitmentMismatch: kind(11),
  /** Committed to something else before. */
  alreadyCommitted: kind(12),
  /** A commitment is 32 bytes; a salt 16 to 64, a values hash 32. */
  invalidCommitment: kind(13),
  /** Other members of the committee may still commit: send it again when they have. */
  stillCommitting: kind(14),
  /** The accuser's collateral does not cover the bond of an accusation. */
  bondNotCovered: kind(15),
  /** In a committee a verdict comes with the drawn window of the committed values. */
  windowMissing: kind(16),
  /** The window is not the drawn one, not what was committed to, or no coded values. */
  windowMismatch: kind(17),
} as const;

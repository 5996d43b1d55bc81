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
} as const;

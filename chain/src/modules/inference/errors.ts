import type { ErrorKind } from "../../app/errors.ts";

const kind = (code: number): ErrorKind => ({ codespace: "inference", code });

/** Results of records and refusals of whole messages. Append only. */
export const ERRORS = {
  /** A batch is empty or holds more than MAX_RECORDS. */
  batchSize: kind(2),
  /** The sender is not the node address of a participant. */
  unknownSender: kind(3),
  /** Not the canonical encoding, or a field of the wrong length or range. */
  malformedAuthorization: kind(4),
  /** Signed for another chain or another purpose. */
  wrongDomain: kind(5),
  /** In the future, too old, or its beacon is not known. */
  anchorOutOfRange: kind(6),
  /** The key may not sign for the client. */
  unauthorizedKey: kind(7),
  /** The client's signature. */
  invalidSignature: kind(8),
  unknownTransferAgent: kind(9),
  unknownModel: kind(10),
  /** The sender is not who may send this record. */
  wrongSender: kind(11),
  /** The executor does not stand at the stated place of the draw. */
  executorNotDrawn: kind(12),
  invalidSkips: kind(13),
  malformedReceipt: kind(14),
  invalidReceiptSignature: kind(15),
  /** The receipt is for something else than the authorization. */
  receiptMismatch: kind(16),
  /** Over already, or further away than the parameter allows. */
  deadlineOutOfRange: kind(17),
  /** The most it can cost does not fit into 64 bits. */
  amountTooLarge: kind(18),
  insufficientDeposit: kind(19),
  /** The bytes do not hash to what is signed, are too long, or should not be there. */
  invalidPayload: kind(20),
  /** The id was started with another receipt. */
  alreadyStarted: kind(21),
  unknownInference: kind(22),
  /** No edge leads from the inference's status by this step. */
  illegalStep: kind(23),
  /** A finish after the deadline pays nothing. */
  deadlinePassed: kind(24),
  /** Counts beyond what was authorized or received, hashes of the wrong length, an impossible finish reason. */
  invalidFinish: kind(25),
  /** Finished with another content. */
  alreadyFinished: kind(26),
  invalidDelivery: kind(27),
  malformedResponse: kind(28),
  invalidResponseSignature: kind(29),
  /** Delivered with another content. */
  alreadyDelivered: kind(30),
  /** Delivered as the finish says, and there is no finish (yet). */
  notFinished: kind(31),
  /** Another inference has the same short id: the nonce has to be drawn anew. */
  refTaken: kind(32),
  /** No account has the number. */
  unknownClient: kind(33),
  /** Not 32 bytes of hash, or a prefix that leaves nothing to be written. */
  invalidPrefix: kind(34),
  /** Its order has a whole answer or is paid, was continued further on, by the same executor, too often, or began too long ago. */
  notContinuable: kind(35),
} as const;

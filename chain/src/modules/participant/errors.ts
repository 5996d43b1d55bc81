import type { ErrorKind } from "../../app/errors.ts";

const error = (code: number): ErrorKind => ({ codespace: "participant", code });

/** Append-only. */
export const PARTICIPANT_ERRORS = {
  notRegistered: error(2),
  alreadyRegistered: error(3),
  /** Another participant has the node key, the validator address or the consensus key. */
  keyTaken: error(4),
  banned: error(5),
  /** Leaving or gone: nothing of it changes any more. */
  leaving: error(6),
  /** Withdrawal without MsgLeave before. */
  notLeaving: error(7),
  /** The unbonding time is not over. */
  stillLocked: error(8),
  collateralTooSmall: error(9),
  unknownModel: error(10),
  /** An offer is malformed, or its model appears twice. */
  invalidOffer: error(11),
  invalidUrl: error(12),
  registryFull: error(13),
  nothingToWithdraw: error(14),
  /** The consensus key has not signed for this operator and chain. */
  badProof: error(15),
} as const;

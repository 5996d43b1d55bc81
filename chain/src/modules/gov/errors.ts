import type { ErrorKind } from "../../app/errors.ts";

const error = (code: number): ErrorKind => ({ codespace: "gov", code });

/** Append-only. Codes up to 20 are those of the Cosmos SDK. */
export const GOV_ERRORS = {
  unknownProposal: error(2),
  /** Not in the period that the message needs. */
  inactiveProposal: error(3),
  invalidProposal: error(5),
  invalidVote: error(7),
  /** No module carries the message out. */
  unroutableMessage: error(10),
  /** A message of the proposal is refused: its own check says so, or it fails on the present state. */
  invalidMessage: error(12),
  /** Someone else than governance would have to sign the message. */
  invalidSigner: error(13),
  depositTooSmall: error(16),
  /** As many proposals are open as may be. */
  tooManyProposals: error(101),
  tooManyDepositors: error(102),
  /** Only operators of participants vote. */
  noVoter: error(103),
} as const;

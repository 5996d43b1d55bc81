/** Signed commits over a sliding window. Pure. */
import type { params, slashing } from "@karat/proto";

export type Rules = Pick<params.Params, "signedBlocksWindow" | "minSignedMicros">;

/** A validator that is seen for the first time, or whose window has another length now. */
export const newInfo = (operator: string, height: bigint, window: bigint): slashing.SigningInfo => ({
  operator,
  startHeight: height,
  window,
  missed: 0n,
  jailed: false,
  jailedUntil: 0n,
  tombstoned: false,
});

/** The place in the window that a height falls on. */
export const positionOf = (height: bigint, window: bigint): bigint => height % window;

/** Blocks of a full window that may be missed: what is not `min_signed`, rounded down. */
export const tolerated = ({ signedBlocksWindow, minSignedMicros }: Rules): bigint =>
  (signedBlocksWindow * BigInt(1_000_000 - minSignedMicros)) / 1_000_000n;

/** Down for too much of a window that it has been through in whole. */
export const isDown = (info: slashing.SigningInfo, height: bigint, rules: Rules): boolean =>
  !info.jailed && height >= info.startHeight + info.window && info.missed > tolerated(rules);

/**
 * Whether a commit can be one of CometBFT: signatures of more than two thirds of the power. The embedded engine signs with one
 * key whatever the set is; nobody is absent there.
 */
export function isQuorum(votes: readonly { readonly power: bigint; readonly signed: boolean }[]): boolean {
  const total = votes.reduce((sum, { power }) => sum + power, 0n);
  const signed = votes.reduce((sum, vote) => (vote.signed ? sum + vote.power : sum), 0n);
  return total > 0n && signed * 3n > total * 2n;
}

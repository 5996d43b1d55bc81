/** What a transaction may hold at most. Sizes in bytes. */
export const LIMITS = {
  /** CometBFT's mempool takes no more. */
  txBytes: 1024 * 1024,
  messages: 64,
  signers: 7,
  memoBytes: 256,
  feeCoins: 4,
  extensionOptions: 4,
} as const;

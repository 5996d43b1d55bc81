/** An account as the chain keeps it. */
export interface Account {
  /** bech32. */
  readonly address: string;
  /** Compressed secp256k1; unknown until the account has signed for the first time. */
  readonly publicKey: Uint8Array | undefined;
  /** From one counter for the whole chain; part of every sign document, so that an account that is made again cannot be replayed. */
  readonly accountNumber: bigint;
  /** Number of the next transaction. */
  readonly sequence: bigint;
}

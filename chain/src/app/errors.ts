/**
 * Errors of transactions and queries: a codespace and a number that clients may rely on (append-only), and a sentence.
 * The `sdk` codes are those of the Cosmos SDK, because wallets and CosmJS know them.
 */
export class ChainError extends Error {
  override readonly name = "ChainError";
  readonly codespace: string;
  readonly code: number;

  constructor(kind: ErrorKind, message: string) {
    super(message);
    this.codespace = kind.codespace;
    this.code = kind.code;
  }
}

export interface ErrorKind {
  readonly codespace: string;
  readonly code: number;
}

const sdk = (code: number): ErrorKind => ({ codespace: "sdk", code });

export const SDK = {
  txDecode: sdk(2),
  unauthorized: sdk(4),
  insufficientFunds: sdk(5),
  unknownRequest: sdk(6),
  invalidAddress: sdk(7),
  invalidPubKey: sdk(8),
  unknownAddress: sdk(9),
  invalidCoins: sdk(10),
  outOfGas: sdk(11),
  memoTooLarge: sdk(12),
  insufficientFee: sdk(13),
  tooManySignatures: sdk(14),
  noSignatures: sdk(15),
  invalidRequest: sdk(18),
  txInMempool: sdk(19),
  mempoolFull: sdk(20),
  txTooLarge: sdk(21),
  keyNotFound: sdk(22),
  wrongChainId: sdk(28),
  txTimeoutHeight: sdk(30),
  unknownExtensionOptions: sdk(31),
  invalidSequence: sdk(32),
  logic: sdk(35),
  notFound: sdk(38),
  invalidGenesis: sdk(41),
} as const;

export function isChainError(error: unknown, kind?: ErrorKind): error is ChainError {
  return (
    error instanceof ChainError &&
    (kind === undefined || (error.codespace === kind.codespace && error.code === kind.code))
  );
}

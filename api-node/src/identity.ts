/** Who this node is on the network. */
export interface NodeIdentity {
  /** Operator address of the participant; also the audience of requests between nodes. */
  readonly operator: string;
  /** The node key (warm): signs receipts and protocol transactions, and authenticates requests between nodes. */
  readonly privateKey: Uint8Array;
  readonly publicKey: Uint8Array;
}

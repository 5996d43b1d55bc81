export type RecordKind = "start" | "finish" | "delivery";

/** A record that is to be on chain exactly once. */
export interface NewRecord {
  readonly kind: RecordKind;
  /** 32 bytes. */
  readonly inferenceId: Uint8Array;
  /** Encoded StartRecord, FinishRecord or DeliveryRecord. */
  readonly record: Uint8Array;
  /** Last height at which the chain takes it. */
  readonly deadlineHeight: bigint;
  /** With a finish: the start that the executor may send itself when the transfer agent did not. */
  readonly start?: { readonly record: Uint8Array; readonly deadlineHeight: bigint };
}

/** Where records go. Resolves when the record is safe on this machine, whatever happens to the queue or the chain. */
export interface RecordSink {
  add(record: NewRecord): Promise<void>;
}

/** A kind and an inference are one record: the key under which it is kept and never sent twice at once. */
export const recordKey = (kind: RecordKind, inferenceId: Uint8Array): string =>
  `${kind}-${Buffer.from(inferenceId).toString("hex")}`;

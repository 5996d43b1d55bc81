export type RecordKind = "start" | "finish" | "delivery";

/** A record that is to be on chain exactly once. */
export interface NewRecord {
  readonly kind: RecordKind;
  /** 32 bytes. */
  readonly inferenceId: Uint8Array;
  /** Encoded StartRecord, FinishRecord or DeliveryRecord, whole; what of it rides on chain is made of it when it is sent. */
  readonly record: Uint8Array;
  /** Last height at which the chain takes it. */
  readonly deadlineHeight: bigint;
  /** First height at which it is sent; at once without it. */
  readonly notBefore?: bigint;
  /**
   * What the chain has to show first. `start`: another node is to record it; when the chain shows it before `notBefore`, this one is
   * not needed. `finish`: the delivery agrees with it or contradicts it.
   */
  readonly awaits?: "start" | "finish";
  /** The transfer agent's word which of several executors it was: it replaces a start that this node has as one of them. */
  readonly decides?: boolean;
}

/**
 * Where records go. The same record again is no second one; with an earlier `notBefore` it makes the first one earlier. Throws `overloaded`
 * when there is no room.
 */
export interface RecordSink {
  /** When it returns, the record survives this process, and whatever happens to the queue or the chain. */
  add(record: NewRecord): void;
  /**
   * A record that waits for its `notBefore` is sent at once. It is not written down: a process that ends before it is sent waits again. Nothing
   * happens where there is none.
   */
  hasten(kind: RecordKind, inferenceId: Uint8Array): void;
}

/** A kind and an inference are one record: the key under which it is kept and never sent twice at once. */
export const recordKey = (kind: RecordKind, inferenceId: Uint8Array): string =>
  `${kind}-${Buffer.from(inferenceId).toString("hex")}`;

/** The short id of the inference that a key is about. */
export const refOfKey = (key: string): bigint => BigInt(`0x${key.slice(key.indexOf("-") + 1).slice(0, 16)}`);

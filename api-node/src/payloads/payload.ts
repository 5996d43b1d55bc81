/** A blob under the 32-byte hash that the chain knows it by. */
export interface Payload {
  readonly hash: Uint8Array;
  readonly bytes: Uint8Array;
}

/** Where the bytes behind the hashes on chain are kept. Never fails a request: what cannot be kept is logged. */
export interface PayloadSink {
  /** They survive this process at once, and can be read when the promise resolves. */
  put(...payloads: readonly Payload[]): Promise<void>;
}

/** Codes of the chain's `inference` module, as its RecordResult carries them (append-only there). */
export const RECORD_CODE = {
  ok: 0,
  /** The sender is not who may send this record: for a finish, the inference is another executor's. */
  wrongSender: 11,
  /** No start with this id is on chain (yet). */
  unknownInference: 22,
} as const;

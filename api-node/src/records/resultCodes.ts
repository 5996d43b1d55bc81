/** Codes of the chain's `inference` module, as its refusals carry them (append-only there). */
export const RECORD_CODE = {
  ok: 0,
  /** The sender is not who may send this record: for a finish, the inference is another executor's. */
  wrongSender: 11,
  /** The inference was started with another receipt. */
  alreadyStarted: 21,
  /** No start with this id is on chain (yet). */
  unknownInference: 22,
  /** The inference is over: nothing can be said of it any more. */
  illegalStep: 23,
  /** There is no finish (yet) that a delivery could agree with. */
  notFinished: 31,
} as const;

import { inference, refOf } from "@karat/proto";
import { type ProofClaim, verifyProof } from "./verifyProof.ts";

/** The store of inferences, and the first byte of a record's key: short id, big-endian, behind it. */
const STORE = "inference";
const RECORD = 1;

/** What a node answers for a record: all of a `ProofClaim` but the app hash, which has to come from a header that is trusted. */
export interface InferenceProof extends Omit<ProofClaim, "appHash" | "value"> {
  /** Of the state that holds the record; the header of the next height has its app hash. */
  readonly height: bigint;
  readonly value: Uint8Array;
}

/** Where the state has the record of an inference. `id`: 32 bytes. */
export function inferenceKey(id: Uint8Array): { readonly storeName: string; readonly key: Uint8Array } {
  const key = new Uint8Array(9);
  key[0] = RECORD;
  new DataView(key.buffer).setBigUint64(1, refOf(id));
  return { storeName: STORE, key };
}

/**
 * The record of inference `id`, as the state of `appHash` has it. A delivery that agrees with its finish is written into a record only when
 * that ends. Throws KaratError `invalid_proof`.
 */
export function verifyInferenceProof(id: Uint8Array, proof: InferenceProof, appHash: Uint8Array): inference.Inference {
  verifyProof({ ...inferenceKey(id), proofOps: proof.proofOps, value: proof.value, appHash });
  return inference.Inference.decode(proof.value);
}

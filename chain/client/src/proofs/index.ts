export { type InferenceProof, inferenceKey, verifyInferenceProof } from "./inferenceProof.ts";
export { type ProofClaim, type ProofOp, verifyProof } from "./verifyProof.ts";

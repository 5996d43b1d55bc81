export { type ProofClaim, type ProofOp, verifyProof } from "./verifyProof.ts";

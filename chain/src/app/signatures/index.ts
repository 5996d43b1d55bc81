export { SignaturesAhead } from "./ahead.ts";
export { type PoolOptions, SignaturePool } from "./pool.ts";
export { type SignatureCheck, verifiedSignatures, verifyOnce } from "./verified.ts";

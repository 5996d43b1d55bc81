export * from "../gen/karat/verification/v1/query.ts";
export * from "../gen/karat/verification/v1/tx.ts";
export * from "../gen/karat/verification/v1/verification.ts";

export * from "../gen/karat/inference/v1/inference.ts";
export * from "../gen/karat/inference/v1/query.ts";
export * from "../gen/karat/inference/v1/tx.ts";

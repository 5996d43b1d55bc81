export * from "../gen/karat/deposit/v1/deposit.ts";
export * from "../gen/karat/deposit/v1/query.ts";
export * from "../gen/karat/deposit/v1/tx.ts";

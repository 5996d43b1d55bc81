export * from "../gen/karat/params/v1/params.ts";
export * from "../gen/karat/params/v1/query.ts";
export * from "../gen/karat/params/v1/tx.ts";

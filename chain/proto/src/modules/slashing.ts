export * from "../gen/karat/slashing/v1/query.ts";
export * from "../gen/karat/slashing/v1/slashing.ts";
export * from "../gen/karat/slashing/v1/tx.ts";

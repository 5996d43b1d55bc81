export * from "../gen/karat/reputation/v1/query.ts";
export * from "../gen/karat/reputation/v1/reputation.ts";

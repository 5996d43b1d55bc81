export * from "../gen/karat/reward/v1/query.ts";
export * from "../gen/karat/reward/v1/reward.ts";
export * from "../gen/karat/reward/v1/tx.ts";

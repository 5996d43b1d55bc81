export * from "../gen/karat/epoch/v1/epoch.ts";
export * from "../gen/karat/epoch/v1/query.ts";

export * from "../gen/karat/participant/v1/participant.ts";
export * from "../gen/karat/participant/v1/query.ts";
export * from "../gen/karat/participant/v1/tx.ts";

export * from "../gen/karat/sign/v1/sign.ts";

/**
 * Karat's protobuf messages. One namespace object per module, so that names like `Params` stay short and cannot clash:
 * `import { inference } from "@karat/proto"; inference.MsgRecords.encode(…)`.
 */
export { encoderOf } from "./encoder.ts";
export * as deposit from "./modules/deposit.ts";
export * as epoch from "./modules/epoch.ts";
export * as inference from "./modules/inference.ts";
export * as params from "./modules/params.ts";
export * as participant from "./modules/participant.ts";
export * as reputation from "./modules/reputation.ts";
export * as reward from "./modules/reward.ts";
export * as sign from "./modules/sign.ts";
export * as slashing from "./modules/slashing.ts";
export * as verification from "./modules/verification.ts";
export {
  compactRecords,
  type Numbers,
  type OpenBatch,
  type OpenFinish,
  openAuthorizationOf,
  partNameOf,
  refOf,
  type StartNames,
  type Statement,
  statementOf,
} from "./records.ts";
export { createKaratRegistry, karatTypes, protocolTypeUrls, typeUrls } from "./registry.ts";
export { DOMAIN, encodeSigned, type SignedMessage } from "./signBytes.ts";

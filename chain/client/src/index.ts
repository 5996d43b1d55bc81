export { type ApiKey, decodeApiKey, encodeApiKey } from "./apiKey.ts";
export { type Authorization, type AuthorizeOptions, authorize, openAuthorization } from "./authorization.ts";
export { ChainClient, type ChainEvent, type FollowedBlock, type FollowedTx, type TxResult } from "./chainClient.ts";
export { type ContinuedPart, continuationId, prefixOf } from "./continuation.ts";
export { type DeliveryCheck, type ReceivedPart, receivedParts, verifyDelivery } from "./delivery.ts";
export { type BlockCursor, type FollowOptions, followBlocks } from "./followBlocks.ts";
export { type InferenceRequest, parseRequest, type RequestKind, readRequest } from "./inferenceRequest.ts";
export * from "./proofs/index.ts";
export { type AccountState, ChainQueries } from "./queries.ts";
export { type ResponseCheck, verifyResponse } from "./response.ts";
export { type Signed, signMessage, verifyBytes, verifyMessage } from "./signing.ts";
export {
  type BlockFollower,
  isTransient,
  type SendOptions,
  type SentTx,
  type SignedTx,
  TxSender,
  type TxSenderOptions,
} from "./txSender.ts";
export { type VerifiedFetchOptions, verifiedFetch } from "./verifiedFetch.ts";

/** HTTP between nodes: signed requests, bounded bodies, lines of JSON, metrics. Signing itself is handed in by the caller. */
export { readBody } from "./body.ts";
export { type Counter, createMetrics, type Gauge, type Histogram, type Metrics } from "./metrics.ts";
export { NdjsonParser } from "./ndjson.ts";
export { ReplayGuard, type ReplayGuardOptions } from "./replayGuard.ts";
export {
  CLOCK_WINDOW_MS,
  type PeerFields,
  type SignPeer,
  type SignRequestOptions,
  signRequest,
  type VerifyPeer,
  type VerifyRequestOptions,
  verifyRequest,
} from "./signedRequest.ts";

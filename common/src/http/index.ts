/** HTTP between nodes: authenticated requests, bounded bodies, lines of JSON, metrics. The codes themselves are made by the caller. */
export { readBody } from "./body.ts";
export { type Counter, createMetrics, type Gauge, type Histogram, type Metrics } from "./metrics.ts";
export { NdjsonParser } from "./ndjson.ts";
export {
  CLOCK_WINDOW_MS,
  type OpenRequestOptions,
  openRequest,
  type PeerFields,
  type PeerMac,
  type SealRequestOptions,
  sealRequest,
} from "./peerRequest.ts";
export { ReplayGuard, type ReplayGuardOptions } from "./replayGuard.ts";

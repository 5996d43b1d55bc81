import type { Metrics } from "@karat/common/http";

/** What the transfer agent tells the metrics. */
export interface InferenceObserver {
  answered(kind: string, code: string, tookMs: number): void;
  firstToken(tookMs: number): void;
  delivered(promptTokens: number, completionTokens: number): void;
  skipped(reason: string): void;
  /** A second executor was asked beside a slow one. */
  hedged(): void;
  /** An executor that broke off in the middle; another went on. */
  brokeOff(reason: string): void;
  /** A stream that ended with an error event. */
  brokenStream(): void;
}

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

export function observeInferences(metrics: Metrics): InferenceObserver {
  const requests = metrics.counter("karat_requests_total", "Requests by endpoint and result.", ["endpoint", "code"]);
  const duration = metrics.histogram("karat_request_duration_seconds", "Whole requests.", SECONDS, ["endpoint"]);
  const first = metrics.histogram("karat_time_to_first_token_seconds", "From request to first token.", SECONDS);
  const tokens = metrics.counter("karat_tokens_total", "Tokens of delivered answers.", ["kind"]);
  const skips = metrics.counter("karat_executor_skips_total", "Executors that were passed over.", ["reason"]);
  const hedges = metrics.counter("karat_hedges_total", "Requests sent to a second executor beside a slow one.");
  const breaks = metrics.counter("karat_executor_breaks_total", "Answers that another executor had to go on with.", [
    "reason",
  ]);
  const broken = metrics.counter("karat_broken_streams_total", "Streams that ended with an error.");
  return {
    answered(endpoint, code, tookMs) {
      requests.inc({ endpoint, code });
      duration.observe({ endpoint }, tookMs / 1_000);
    },
    firstToken: (tookMs) => first.observe(tookMs / 1_000),
    delivered(promptTokens, completionTokens) {
      tokens.inc({ kind: "prompt" }, promptTokens);
      tokens.inc({ kind: "completion" }, completionTokens);
    },
    // A reason may quote a peer's error code; as a label only its kind is bounded.
    skipped: (reason) => skips.inc({ reason: reason.split(":")[0]! }),
    hedged: () => hedges.inc(),
    brokeOff: (reason) => breaks.inc({ reason: reason.split(":")[0]! }),
    brokenStream: () => broken.inc(),
  };
}

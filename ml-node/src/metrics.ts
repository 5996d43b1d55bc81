/** Prometheus metrics of one ML node. */
import { type Counter, createMetrics, type Histogram } from "@karat/common/http";
import type { EngineState, InferenceEngine } from "./engine/engine.ts";

const SECONDS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];

export interface NodeMetrics {
  contentType: string;
  render(): Promise<string>;
  requests: Counter;
  promptTokens: Counter;
  completionTokens: Counter;
  answers: Counter;
  verdicts: Counter;
  firstTokenSeconds: Histogram;
  answerSeconds: Histogram;
  scoreSeconds: Histogram;
}

export function createNodeMetrics(engine: InferenceEngine): NodeMetrics {
  const metrics = createMetrics();
  const counter = (name: string, help: string, ...labels: string[]): Counter =>
    metrics.counter(`karat_ml_${name}`, help, labels);
  const seconds = (name: string, help: string): Histogram => metrics.histogram(`karat_ml_${name}`, help, SECONDS);
  const gauge = (name: string, help: string, read: () => number) => metrics.gauge(`karat_ml_${name}`, help, read);

  gauge("engine_jobs_running", "Jobs in the engine", () => engine.load().running);
  gauge("engine_jobs_waiting", "Jobs waiting for the engine", () => engine.load().waiting);
  for (const state of ["starting", "ready", "failed"] satisfies EngineState[]) {
    gauge(`engine_${state}`, `1 while the engine is ${state}`, () => Number(engine.state() === state));
  }
  return {
    contentType: metrics.contentType,
    render: () => metrics.render(),
    requests: counter("requests_total", "HTTP requests", "route", "status"),
    promptTokens: counter("prompt_tokens_total", "Tokens of prompts that were answered"),
    completionTokens: counter("completion_tokens_total", "Tokens generated"),
    answers: counter("answers_total", "Answers by the reason for which they ended", "finish_reason"),
    verdicts: counter("verdicts_total", "Scored answers by verdict", "verdict"),
    firstTokenSeconds: seconds("first_token_seconds", "From the request to the first token"),
    answerSeconds: seconds("answer_seconds", "From the request to the end of the answer"),
    scoreSeconds: seconds("score_seconds", "Duration of a score request"),
  };
}

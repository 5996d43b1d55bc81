import type { NodeMetrics } from "../metrics.ts";
import type { AnswerEvent } from "../service/answer.ts";

/** Counts and times the events of one answer. */
export class AnswerMeter {
  readonly #metrics: NodeMetrics;
  readonly #startedAt = performance.now();

  constructor(metrics: NodeMetrics) {
    this.#metrics = metrics;
  }

  observe(event: AnswerEvent): void {
    const seconds = (performance.now() - this.#startedAt) / 1000;
    if (event.type === "start") {
      this.#metrics.promptTokens.inc(event.promptIds.length);
      this.#metrics.firstTokenSeconds.observe(seconds);
    } else if (event.type === "token") {
      this.#metrics.completionTokens.inc();
    } else {
      this.#metrics.answers.inc({ finish_reason: event.finishReason });
      this.#metrics.answerSeconds.observe(seconds);
    }
  }
}

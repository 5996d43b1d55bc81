import type { NodeMetrics } from "../metrics.ts";
import type { AnswerEvent } from "../service/answer.ts";

/** Counts and times the events of one answer. */
export class AnswerMeter {
  readonly #metrics: NodeMetrics;
  readonly #startedAt = performance.now();
  #begun = false;

  constructor(metrics: NodeMetrics) {
    this.#metrics = metrics;
  }

  /** The answer of an embedding: a token for each input. */
  embedded(promptTokens: number, inputs: number): void {
    this.#metrics.promptTokens.inc(promptTokens);
    this.#metrics.completionTokens.inc(inputs);
    this.#metrics.answers.inc({ finish_reason: "length" });
    this.#metrics.answerSeconds.observe((performance.now() - this.#startedAt) / 1000);
  }

  observe(event: AnswerEvent): void {
    const seconds = (performance.now() - this.#startedAt) / 1000;
    if (event.type === "start") {
      this.#metrics.promptTokens.inc(event.promptIds.length);
    } else if (event.type === "token") {
      if (!this.#begun) this.#metrics.firstTokenSeconds.observe(seconds);
      this.#begun = true;
      this.#metrics.completionTokens.inc();
    } else {
      this.#metrics.answers.inc({ finish_reason: event.finishReason });
      this.#metrics.answerSeconds.observe(seconds);
    }
  }
}

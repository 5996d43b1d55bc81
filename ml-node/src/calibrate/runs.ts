/** Runs a workload: one engine answers, another scores the answer by one prefill, as executor and validator do. */

import { collect } from "../collect.ts";
import type { InferenceEngine, PositionLogprobs } from "../engine/engine.ts";
import { type Answer, answer } from "../service/answer.ts";
import { VALIDATOR_TOP } from "../service/scoring.ts";
import type { WorkItem } from "./workload.ts";

export interface Run {
  item: WorkItem;
  answer: Answer;
  /** What the validator's engine gives for the same tokens. */
  validator: readonly PositionLogprobs[];
  /** And each of the substitutes that an unseeded profile will name. */
  substitutes?: readonly (readonly PositionLogprobs[])[];
}

/** One combination of settings of executor and validator. */
export interface Setting {
  name: string;
  executor: InferenceEngine;
  validator: InferenceEngine;
  /** Answers generated at the same time, sharing batches. */
  concurrency: number;
  /** Models that the answers are compared with. */
  substitutes?: readonly InferenceEngine[];
  /** Runs relative to the other settings; 1 where absent. */
  share?: number;
}

/** Answers and scores `count` items of a workload, `concurrency` at a time. */
export async function* runWorkload(
  setting: Setting,
  items: Iterator<WorkItem>,
  count: number,
  recordTop: number,
): AsyncGenerator<Run> {
  for (let done = 0; done < count; done += setting.concurrency) {
    const group: WorkItem[] = [];
    while (group.length < Math.min(setting.concurrency, count - done)) {
      const next = items.next();
      if (next.done) return;
      group.push(next.value);
    }
    const answers = await Promise.all(group.map((item) => runOne(setting.executor, item, recordTop)));
    for (const [i, item] of group.entries()) {
      const result = answers[i]!;
      const job = { promptIds: result.promptIds, outputIds: result.tokenIds, top: VALIDATOR_TOP };
      const validator = await setting.validator.score(job);
      const substitutes: PositionLogprobs[][] = [];
      for (const engine of setting.substitutes ?? []) substitutes.push(await engine.score(job));
      yield { item, answer: result, validator, substitutes };
    }
  }
}

async function runOne(engine: InferenceEngine, item: WorkItem, recordTop: number): Promise<Answer> {
  const events = await collect(answer(engine, { ...item, stop: [], topLogprobs: 0, recordTop }));
  const end = events.at(-1);
  if (end?.type !== "end") throw new Error("the answer has no end");
  return end;
}

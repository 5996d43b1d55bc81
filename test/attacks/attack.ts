/** One attack of the suite: an executor, what it does to its answers, and what is promised about it. */
import type { InferenceEngine } from "../../ml-node/src/engine/engine.ts";
import { withSampling } from "./executors.ts";
import { type Lab, type Trial, type TrialOptions, trials } from "./lab.ts";

export interface Attack {
  /** As in verification.md §9. */
  id: string;
  name: string;
  /** Tokens of each output; undefined for chats, which stop by themselves. */
  tokens?: number;
  /** Least share of runs with p ≤ 1 % that is promised; for `honest` ones the largest share of failed checks. */
  promise?: number;
  honest?: boolean;
  /** Part of the subset that runs with every change. */
  quick?: boolean;
  /** One prefill for each token: fewer runs. */
  slow?: boolean;
  /** The cheat is in our coding of the record, which the peer does not have. */
  peerless?: boolean;
  /** What the last run counted besides. */
  note?(): string;
  run(lab: Lab, count: number, seed: number): Promise<Trial[]>;
}

export type Executor = (lab: Lab) => InferenceEngine;
type Extra = Omit<TrialOptions, "count" | "seed" | "tokens">;

export function attack(
  about: Omit<Attack, "run">,
  executor: Executor,
  extra: Extra | ((lab: Lab) => Extra) = {},
): Attack {
  const run = (lab: Lab, count: number, seed: number): Promise<Trial[]> => {
    const options = typeof extra === "function" ? extra(lab) : extra;
    const length = about.tokens === undefined ? {} : { tokens: about.tokens };
    return trials(lab, executor(lab), { ...options, ...length, count, seed });
  };
  return { ...about, run };
}

/** Samples at `factor` times the request's temperature. */
export const cooler = (factor: number) => (lab: Lab, engine: InferenceEngine) =>
  withSampling(lab.declared, engine, (s) => ({ ...s, temperatureMicros: Math.round(s.temperatureMicros * factor) }));

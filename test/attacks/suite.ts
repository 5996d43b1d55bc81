/** The attacks that meet the model: A1–A12, A14, A17, A21–A23 of verification.md §9. Protocol attacks are in `protocol.test.ts`. */
import { gateOf, margin } from "@karat/rules";
import { launder, swap } from "../../ml-node/src/attack/attack.ts";
import type { Run } from "../../ml-node/src/calibrate/runs.ts";
import type { InferenceEngine } from "../../ml-node/src/engine/engine.ts";
import { speculating, splicing, withPrompt, withSampling, withSeed } from "./executors.ts";
import { type Lab, rescored, type Trial, type TrialOptions, trials } from "./lab.ts";
import { randomFrom } from "./random.ts";

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
  run(lab: Lab, count: number, seed: number): Promise<Trial[]>;
}

type Executor = (lab: Lab) => InferenceEngine;
type Extra = Omit<TrialOptions, "count" | "seed" | "tokens">;

function attack(about: Omit<Attack, "run">, executor: Executor, extra: Extra | ((lab: Lab) => Extra) = {}): Attack {
  const run = (lab: Lab, count: number, seed: number): Promise<Trial[]> => {
    const options = typeof extra === "function" ? extra(lab) : extra;
    const length = about.tokens === undefined ? {} : { tokens: about.tokens };
    return trials(lab, executor(lab), { ...options, ...length, count, seed });
  };
  return { ...about, run };
}

const LENGTHS = [16, 32, 64, 128] as const;
const SUBSTITUTES = { "8 bits": "q8", "4 bits": "q4", "the mini model": "mini" } as const;
const names = Object.keys(SUBSTITUTES) as (keyof typeof SUBSTITUTES)[];

function promiseOf(kind: "swap" | "launder", name: keyof typeof SUBSTITUTES, tokens: number): number | undefined {
  if (kind === "swap") return name === "8 bits" ? (tokens >= 64 ? 0.95 : undefined) : tokens >= 64 ? 1 : 0.8;
  return name !== "8 bits" && tokens === 128 ? 0.95 : undefined;
}

const substitutes = (["swap", "launder"] as const).flatMap((kind) =>
  names.flatMap((name) =>
    LENGTHS.map((tokens) => {
      const id = kind === "launder" ? "A3" : name === "the mini model" ? "A2" : "A1";
      const promise = promiseOf(kind, name, tokens);
      const quick =
        kind === "swap" ? (name === "8 bits" ? tokens === 64 : tokens === 16) : name !== "8 bits" && tokens === 128;
      const cheat = kind === "swap" ? swap : launder;
      return attack(
        {
          id,
          name: `${kind === "swap" ? "run by" : "laundered from"} ${name}`,
          tokens,
          quick,
          ...(promise !== undefined && { promise }),
        },
        (lab) => cheat(lab.declared, lab[SUBSTITUTES[name]]),
      );
    }),
  ),
);

const cooler = (factor: number) => (lab: Lab, engine: InferenceEngine) =>
  withSampling(lab.declared, engine, (s) => ({ ...s, temperatureMicros: Math.round(s.temperatureMicros * factor) }));

const matched = (["4 bits", "the mini model"] as const).flatMap((name) =>
  [0.8, 0.9, 1.1].map((factor) =>
    attack(
      {
        id: "A4",
        name: `laundered from ${name}, temperature × ${factor}`,
        tokens: 128,
        promise: 0.95,
        quick: name !== "4 bits" && factor === 0.9,
      },
      (lab) => launder(lab.declared, cooler(factor)(lab, lab[SUBSTITUTES[name]])),
    ),
  ),
);

/**
 * Where the seed demands another token of the recorded values, they meet half way: whoever replays the sampling on the record sees no
 * flip, and the record is as near to the truth as that allows.
 */
function nudge(run: Run): Run {
  const { sampling, seed } = run.item;
  const previous = new Map<number, number>();
  const positions = run.answer.positions.map((position, at) => {
    const { id, top } = position;
    const known = top.some((entry) => entry.id === id) ? top : [...top, { id, logprob: position.logprob }];
    const logits = known.map((entry) => [entry.id, entry.logprob] as const);
    const { demanded, margin: short } = margin(sampling, seed, at, logits, id, previous);
    previous.set(id, (previous.get(id) ?? 0) + 1);
    const moved = (entry: { id: number; logprob: number }) => {
      if (entry.id === id) return { ...entry, logprob: Math.min(0, entry.logprob + short / 2) };
      return entry.id === demanded ? { ...entry, logprob: entry.logprob - short / 2 } : entry;
    };
    const nudged = known.map(moved).sort((x, y) => y.logprob - x.logprob);
    return { ...position, logprob: nudged.find((entry) => entry.id === id)?.logprob ?? position.logprob, top: nudged };
  });
  return { ...run, answer: { ...run.answer, positions } };
}

/** Adds what an honest decode would differ by. */
const noised = (sigma: number) => {
  const random = randomFrom(6);
  const gauss = (): number => (random() + random() + random() + random() - 2) * Math.sqrt(3);
  return (run: Run): Run => ({
    ...run,
    answer: {
      ...run.answer,
      positions: run.answer.positions.map((position) => {
        const top = position.top.map((entry) => ({ ...entry, logprob: Math.min(0, entry.logprob + sigma * gauss()) }));
        return { ...position, top };
      }),
    },
  });
};

const forged = [
  attack(
    { id: "A5", name: "laundered from 4 bits, nudged record", tokens: 128, promise: 0.95, quick: true },
    (lab) => launder(lab.declared, lab.q4),
    { tamper: nudge },
  ),
  attack(
    { id: "A5", name: "laundered from the mini model, nudged record", tokens: 128, promise: 0.95 },
    (lab) => launder(lab.declared, lab.mini),
    { tamper: nudge },
  ),
  attack(
    { id: "A6", name: "laundered from 4 bits, noise added", tokens: 128, promise: 0.95 },
    (lab) => launder(lab.declared, lab.q4),
    (lab) => ({ tamper: noised(lab.profile.sigmaLogit) }),
  ),
];

const sampling = [
  attack({ id: "A7", name: "greedy instead of temperature 0.7", tokens: 64, promise: 0.95, quick: true }, (lab) =>
    withSampling(lab.declared, lab.declared, (s) => ({ ...s, temperatureMicros: 0 })),
  ),
  attack({ id: "A7", name: "temperature 0.6 instead of 0.7", tokens: 64 }, (lab) => cooler(6 / 7)(lab, lab.declared)),
  attack({ id: "A7", name: "top-k 5 instead of 64", tokens: 64, promise: 0.95 }, (lab) =>
    withSampling(lab.declared, lab.declared, (s) => ({ ...s, topK: 5 })),
  ),
  attack({ id: "A8", name: "another seed", tokens: 16, promise: 0.95, quick: true }, (lab) =>
    withSeed(lab.declared, new Uint8Array(32).fill(8)),
  ),
  attack(
    { id: "A17", name: "a cached answer: same prompt, seed of another inference", tokens: 64, promise: 0.95 },
    (lab) => withSeed(lab.declared, new Uint8Array(32).fill(17)),
  ),
  attack({ id: "A9", name: "half of the prompt left out", tokens: 32, promise: 0.95, quick: true }, (lab) =>
    withPrompt(lab.declared, (ids) => ids.slice(Math.ceil(ids.length / 2))),
  ),
  attack({ id: "A14", name: "only the last 16 tokens of the context read", tokens: 32, slow: true }, (lab) =>
    shortSighted(lab),
  ),
];

/** Each token from a context cut to its last 16 tokens. */
function shortSighted(lab: Lab): InferenceEngine {
  const { declared } = lab;
  const blind: InferenceEngine = {
    ...withPrompt(declared, (ids) => ids),
    score: (job) => {
      const all = [...job.promptIds, ...job.outputIds.slice(0, -1)];
      return declared.score({ ...job, promptIds: all.slice(-16), outputIds: job.outputIds.slice(-1) });
    },
  };
  return launder(
    declared,
    splicing(declared, () => blind),
  );
}

/** Cuts an honest answer to its first half. */
const cut =
  (reason: "stop" | "length") =>
  (run: Run): Run => ({
    ...run,
    validator: run.validator.slice(0, 32),
    answer: {
      ...run.answer,
      tokenIds: run.answer.tokenIds.slice(0, 32),
      positions: run.answer.positions.slice(0, 32),
      finishReason: reason,
    },
  });

const stopEarly = (lab: Lab) => (run: Run) => {
  const stop = lab.declared.vocabulary.stopTokenIds.at(-1) ?? 0;
  return rescored(lab, run, [...run.answer.tokenIds.slice(0, 24), stop], "stop");
};

/** Chats that stopped, without their stop token and padded. */
const padded = (lab: Lab) => (run: Run) => {
  const { finishReason, tokenIds, maxTokens } = run.answer;
  if (finishReason !== "stop" || tokenIds.length < 2) return undefined;
  const kept = tokenIds.slice(0, -1);
  const filling = Array.from({ length: maxTokens - kept.length }, (_, i) => kept[i % kept.length] ?? 1);
  return rescored(lab, run, [...kept, ...filling], "length");
};

const finish = [
  attack(
    { id: "A10", name: "cut short, said to have stopped", tokens: 64, promise: 1, quick: true },
    (lab) => lab.declared,
    { tamper: cut("stop") },
  ),
  attack(
    { id: "A10", name: "cut short, said to be whole", tokens: 64, promise: 1, quick: true },
    (lab) => lab.declared,
    { tamper: cut("length") },
  ),
  attack(
    { id: "A10", name: "ended by a stop token that the seed did not demand", tokens: 48, promise: 0.95, quick: true },
    (lab) => lab.declared,
    (lab) => ({ tamper: stopEarly(lab) }),
  ),
  attack(
    { id: "A10", name: "stop token passed over, padded to the maximum", promise: 0.95, quick: true },
    (lab) => lab.declared,
    (lab) => ({ tamper: padded(lab) }),
  ),
];

const splices = [0.05, 0.1, 0.25, 0.5].map((share) =>
  attack({ id: "A11", name: `${share * 100} % of the tokens from the mini model`, tokens: 64, slow: true }, (lab) =>
    splicing(lab.declared, (position, length) => (position >= length * (1 - share) ? lab.mini : lab.declared)),
  ),
);

const short = [
  attack({ id: "A12", name: "only short outputs: laundered from 4 bits", tokens: 12 }, (lab) =>
    launder(lab.declared, lab.q4),
  ),
  attack({ id: "A12", name: "only short outputs: run by 4 bits", tokens: 12, promise: 0.8, quick: true }, (lab) =>
    swap(lab.declared, lab.q4),
  ),
];

const honest = [
  attack(
    {
      id: "A21",
      name: "lossless speculation with the mini model",
      tokens: 32,
      honest: true,
      promise: 0,
      slow: true,
      quick: true,
    },
    (lab) => speculating(lab.declared, lab.mini, 0),
  ),
  attack(
    {
      id: "A23",
      name: "honest, other kernels and batches than the validator",
      tokens: 128,
      honest: true,
      promise: 0.02,
      quick: true,
    },
    (lab) => lab.noisy,
  ),
  attack({ id: "A23", name: "honest chats", honest: true, promise: 0.02, quick: true }, (lab) => lab.noisy),
];

const lossy = [
  attack({ id: "A22", name: "speculation that accepts margins up to the gate", tokens: 32, slow: true }, (lab) =>
    speculating(lab.declared, lab.mini, gateOf(lab.profile.sigmaLogit)),
  ),
  attack({ id: "A22", name: "speculation that accepts margins up to 0.1 nats", tokens: 32, slow: true }, (lab) =>
    speculating(lab.declared, lab.mini, 0.1),
  ),
  attack({ id: "A22", name: "speculation that accepts margins up to 0.5 nats", tokens: 32, slow: true }, (lab) =>
    speculating(lab.declared, lab.mini, 0.5),
  ),
];

export const ATTACKS: readonly Attack[] = [
  ...substitutes,
  ...matched,
  ...forged,
  ...sampling,
  ...finish,
  ...splices,
  ...short,
  ...honest,
  ...lossy,
];

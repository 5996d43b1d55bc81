/** The declared weights, but not the answer that was asked for: A7–A11, A15–A17. */
import { launder } from "../../ml-node/src/attack/attack.ts";
import type { Run } from "../../ml-node/src/calibrate/runs.ts";
import type { InferenceEngine } from "../../ml-node/src/engine/engine.ts";
import { type Attack, attack, cooler } from "./attack.ts";
import { grinding, splicing, withPrompt, withSampling, withSeed } from "./executors.ts";
import { type Lab, rescored, type TrialOptions } from "./lab.ts";
import { randomFrom } from "./random.ts";

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
    {
      id: "A8",
      name: "the likeliest of the mini model's answers from 8 seeds, laundered",
      tokens: 32,
      promise: 0.95,
      slow: true,
    },
    (lab) => grinding(lab.declared, lab.mini, 8),
  ),
  attack(
    { id: "A17", name: "a cached answer: same prompt, seed of another inference", tokens: 64, promise: 0.95 },
    (lab) => withSeed(lab.declared, new Uint8Array(32).fill(17)),
  ),
  attack({ id: "A9", name: "half of the prompt left out", tokens: 32, promise: 0.95, quick: true }, (lab) =>
    partOfPrompt(lab.declared),
  ),
  attack(
    { id: "A9", name: "half of the prompt left out, laundered through the whole", tokens: 32, promise: 0.95 },
    (lab) => launder(lab.declared, partOfPrompt(lab.declared)),
  ),
  attack({ id: "A9", name: "four tokens slipped into the prompt", tokens: 32, promise: 0.95 }, (lab) =>
    withPrompt(lab.declared, (ids) => [...ids.slice(0, 1), 300, 301, 302, 303, ...ids.slice(1)]),
  ),
];

const partOfPrompt = (declared: InferenceEngine): InferenceEngine =>
  withPrompt(declared, (ids) => ids.slice(Math.ceil(ids.length / 2)));

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

/** Records that are not of this answer, or not records. The root is of the bytes as they are, so it does not give them away. */
const records = (() => {
  const random = randomFrom(15);
  const byte = (): number => Math.floor(256 * random());
  const record = (
    about: Pick<Attack, "id" | "name" | "promise" | "quick">,
    tamperBytes: NonNullable<TrialOptions["tamperBytes"]>,
  ): Attack => attack({ ...about, tokens: 32, peerless: true }, (lab) => lab.declared, { tamperBytes });
  return [
    record({ id: "A15", name: "last byte of the record missing", promise: 1, quick: true }, (bytes) =>
      bytes.slice(0, -1),
    ),
    record({ id: "A15", name: "a byte more than the record has", promise: 1 }, (bytes) =>
      Uint8Array.from([...bytes, 0]),
    ),
    record({ id: "A15", name: "random bytes behind an honest head", promise: 1 }, (bytes) =>
      bytes.map((value, i) => (i < 2 ? value : byte())),
    ),
    record({ id: "A15", name: "one random bit of the record flipped" }, (bytes) => {
      const at = 2 + Math.floor((bytes.length - 2) * random());
      return bytes.with(at, bytes[at]! ^ (1 << Math.floor(8 * random())));
    }),
    record(
      { id: "A16", name: "record of another answer of the same length", promise: 1, quick: true },
      (_, before) => before,
    ),
  ];
})();

const splices = [0.05, 0.1, 0.25, 0.5].map((share) =>
  attack({ id: "A11", name: `${share * 100} % of the tokens from the mini model`, tokens: 64, slow: true }, (lab) =>
    splicing(lab.declared, (position, length) => (position >= length * (1 - share) ? lab.mini : lab.declared)),
  ),
);

export const ANSWER_ATTACKS = [...sampling, ...finish, ...records, ...splices];

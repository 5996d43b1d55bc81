/** Other weights, or less of the declared ones: A1–A6, A14. */
import { margin } from "@karat/rules";
import { launder, swap } from "../../ml-node/src/attack/attack.ts";
import type { Run } from "../../ml-node/src/calibrate/runs.ts";
import type { InferenceEngine } from "../../ml-node/src/engine/engine.ts";
import { attack, cooler } from "./attack.ts";
import { splicing, withPrompt } from "./executors.ts";
import type { Lab } from "./lab.ts";
import { randomFrom } from "./random.ts";

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

const cheaper = [
  attack({ id: "A14", name: "keys and values in 8 bits", tokens: 16 }, (lab) => swap(lab.declared, lab.kv8)),
  attack({ id: "A14", name: "keys and values in 8 bits", tokens: 64, promise: 0.95, quick: true }, (lab) =>
    swap(lab.declared, lab.kv8),
  ),
  attack({ id: "A14", name: "laundered from keys and values in 8 bits", tokens: 128 }, (lab) =>
    launder(lab.declared, lab.kv8),
  ),
  attack({ id: "A14", name: "one layer of five left out", tokens: 16, promise: 0.95 }, (lab) =>
    swap(lab.declared, lab.shallow),
  ),
  attack({ id: "A14", name: "one layer of five left out, laundered", tokens: 64, promise: 0.95, quick: true }, (lab) =>
    launder(lab.declared, lab.shallow),
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

export const SUBSTITUTE_ATTACKS = [...substitutes, ...matched, ...forged, ...cheaper];

/** The attacks that meet the model: A1–A12, A14–A17, A21–A23 of verification.md §9. Protocol attacks are in `protocol.test.ts`. */
import { gateOf } from "@karat/rules";
import { launder, swap } from "../../ml-node/src/attack/attack.ts";
import { ANSWER_ATTACKS } from "./answers.ts";
import { type Attack, attack } from "./attack.ts";
import { speculating } from "./executors.ts";
import type { Lab } from "./lab.ts";
import { POOLED_ATTACKS } from "./pooled.ts";
import { SUBSTITUTE_ATTACKS } from "./substitutes.ts";

const short = [
  attack({ id: "A12", name: "only short outputs: laundered from 4 bits", tokens: 12 }, (lab) =>
    launder(lab.declared, lab.q4),
  ),
  attack({ id: "A12", name: "only short outputs: run by 4 bits", tokens: 12, promise: 0.8, quick: true }, (lab) =>
    swap(lab.declared, lab.q4),
  ),
  ...POOLED_ATTACKS,
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
  ["up to the gate", (lab: Lab) => gateOf(lab.profile.sigmaLogit)],
  ["up to 0.02 nats", () => 0.02],
  ["up to 0.1 nats", () => 0.1],
  ["up to 0.5 nats", () => 0.5],
] as const;

/** How much of the work the draft saves, beside how often it is found: what a cheat gets for its risk. */
const speculation = lossy.map(([name, tolerance]) => {
  const seen = { accepted: 0, all: 0 };
  return attack(
    {
      id: "A22",
      name: `speculation that accepts margins ${name}`,
      tokens: 32,
      slow: true,
      note: () => `${((100 * seen.accepted) / Math.max(1, seen.all)).toFixed(0)} % of the draft accepted`,
    },
    (lab) =>
      speculating(lab.declared, lab.mini, tolerance(lab), (accepted) => {
        seen.all++;
        if (accepted) seen.accepted++;
      }),
  );
});

export const ATTACKS: readonly Attack[] = [
  ...SUBSTITUTE_ATTACKS,
  ...ANSWER_ATTACKS,
  ...short,
  ...honest,
  ...speculation,
];

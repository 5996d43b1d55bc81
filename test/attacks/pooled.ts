/** A12, only short outputs: each is abstained from, and what the chain pools of them is judged as one. */
import { scorePool } from "@karat/rules";
import { launder, swap } from "../../ml-node/src/attack/attack.ts";
import { scoreInputOf } from "../../ml-node/src/calibrate/scores.ts";
import type { Attack, Executor } from "./attack.ts";
import { type Lab, type Trial, trials } from "./lab.ts";

const TOKENS = 6;
/** With these, the pool has reached the chain's `evidence_tokens`, 64. */
const OUTPUTS = 11;

function pooled(about: Pick<Attack, "name" | "promise" | "honest" | "quick">, executor: Executor): Attack {
  const run = async (lab: Lab, count: number, seed: number): Promise<Trial[]> => {
    const found = await trials(lab, executor(lab), { tokens: TOKENS, count: OUTPUTS * count, seed });
    return groups(found).map((group) => together(lab, group));
  };
  return { id: "A12", ...about, run };
}

function together({ profile, declared }: Lab, [first, ...others]: readonly [Trial, ...Trial[]]): Trial {
  const stops = new Set(declared.vocabulary.stopTokenIds);
  const inputOf = ({ evidence }: Trial) => scoreInputOf(profile, evidence, stops);
  return { ...first, score: scorePool([inputOf(first), ...others.map(inputOf)]) };
}

function groups(found: readonly Trial[]): [Trial, ...Trial[]][] {
  const all: [Trial, ...Trial[]][] = [];
  for (let at = 0; at + OUTPUTS <= found.length; at += OUTPUTS) {
    all.push([found[at]!, ...found.slice(at + 1, at + OUTPUTS)]);
  }
  return all;
}

const size = `${OUTPUTS} outputs of ${TOKENS} tokens, pooled`;

export const POOLED_ATTACKS: readonly Attack[] = [
  pooled({ name: `${size}: laundered from 4 bits`, promise: 0.8, quick: true }, (lab) => launder(lab.declared, lab.q4)),
  pooled({ name: `${size}: laundered from the mini model`, promise: 0.8 }, (lab) => launder(lab.declared, lab.mini)),
  pooled({ name: `${size}: run by 4 bits`, promise: 0.95 }, (lab) => swap(lab.declared, lab.q4)),
  pooled({ name: `${size}: honest, by other kernels`, honest: true, promise: 0.01, quick: true }, (lab) => lab.noisy),
];

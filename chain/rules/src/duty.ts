import { type Candidate, toInteger, weightedOrder } from "./draw.ts";
import { RuleError } from "./errors.ts";
import { domainHash } from "./hash.ts";

const MICROS = 1_000_000n;

export interface DutyInput {
  /** Of the height after the one at which the finish became final: nobody can know it in advance. */
  readonly beacon: Uint8Array;
  readonly inferenceId: Uint8Array;
  /** Checking probability, 0 … 1_000_000. */
  readonly rateMicros: number;
  /** Without executor, transfer agent and whoever shares their operator. */
  readonly candidates: readonly Candidate[];
  /** How many of the order are wanted; all without it. */
  readonly limit?: number;
}

/** Whether a finished inference is checked, and the validators in the order they are asked (a missed duty goes to the next). */
export function dutyDraw({ beacon, inferenceId, rateMicros, candidates, limit }: DutyInput): {
  checked: boolean;
  order: string[];
} {
  if (!Number.isInteger(rateMicros) || rateMicros < 0 || rateMicros > 1_000_000) {
    throw new RuleError("invalid_rate", "rateMicros", "an integer from 0 to 1000000", { rateMicros });
  }
  const u = toInteger(domainHash("karat/duty", beacon, inferenceId).subarray(0, 8));
  const checked = (u * MICROS) >> 64n < BigInt(rateMicros);
  return { checked, order: weightedOrder(domainHash("karat/duty-order", beacon, inferenceId), candidates, limit) };
}

/** The members who decide after an objection; `beacon` is that of a height after the objection. */
export function committeeDraw(input: {
  readonly beacon: Uint8Array;
  readonly inferenceId: Uint8Array;
  readonly size: number;
  readonly candidates: readonly Candidate[];
}): string[] {
  return weightedOrder(domainHash("karat/committee", input.beacon, input.inferenceId), input.candidates, input.size);
}

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
  const checked = isDrawn("karat/duty", beacon, inferenceId, rateMicros);
  return { checked, order: weightedOrder(domainHash("karat/duty-order", beacon, inferenceId), candidates, limit) };
}

/** Whether others look too at what one validator has checked; `beacon` is that of a height after its verdict. */
export function secondLookDraw({ beacon, inferenceId, rateMicros }: Omit<DutyInput, "candidates" | "limit">): boolean {
  return isDrawn("karat/second-look", beacon, inferenceId, rateMicros);
}

function isDrawn(domain: string, beacon: Uint8Array, inferenceId: Uint8Array, rateMicros: number): boolean {
  if (!Number.isInteger(rateMicros) || rateMicros < 0 || rateMicros > 1_000_000) {
    throw new RuleError("invalid_rate", "rateMicros", "an integer from 0 to 1000000", { rateMicros });
  }
  const u = toInteger(domainHash(domain, beacon, inferenceId).subarray(0, 8));
  return (u * MICROS) >> 64n < BigInt(rateMicros);
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

import { type Candidate, type DrawTable, drawnBelow, weightedOrder } from "./draw.ts";
import { RuleError } from "./errors.ts";
import { domainHash } from "./hash.ts";

const MICROS = 1_000_000;

export interface DutyInput {
  /** Of the height after the one at which the finish became final: nobody can know it in advance. */
  readonly beacon: Uint8Array;
  readonly inferenceId: Uint8Array;
  /** Checking probability, 0 … 1_000_000. */
  readonly rateMicros: number;
}

/** Whether a finished inference is checked: who could be asked plays no part in it. */
export function dutyDraw({ beacon, inferenceId, rateMicros }: DutyInput): boolean {
  return isDrawn("karat/duty", beacon, inferenceId, rateMicros);
}

/**
 * The validators of an inference in the order they are asked (a missed duty goes to the next), at most `limit`. The table has all of
 * them; those that are involved in the inference are passed over.
 */
export function dutyOrder(
  table: DrawTable,
  { beacon, inferenceId }: Pick<DutyInput, "beacon" | "inferenceId">,
  involved: readonly string[],
  limit?: number,
): string[] {
  return table.order(domainHash("karat/duty-order", beacon, inferenceId), limit, involved);
}

/** Whether others look too at what one validator has checked; `beacon` is that of a height after its verdict. */
export function secondLookDraw({ beacon, inferenceId, rateMicros }: DutyInput): boolean {
  return isDrawn("karat/second-look", beacon, inferenceId, rateMicros);
}

function isDrawn(domain: string, beacon: Uint8Array, inferenceId: Uint8Array, rateMicros: number): boolean {
  if (!Number.isInteger(rateMicros) || rateMicros < 0 || rateMicros > MICROS) {
    throw new RuleError("invalid_rate", "rateMicros", "an integer from 0 to 1000000", { rateMicros });
  }
  return drawnBelow(MICROS, domainHash(domain, beacon, inferenceId)) < rateMicros;
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

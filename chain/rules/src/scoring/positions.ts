/** What a check sees at each position: for people who look at a verdict. */
import { margin } from "../sampling.ts";
import { spreadOf } from "./distance.ts";
import { countsOf } from "./gumbelCheck.ts";
import type { ScoreInput } from "./verdict.ts";

export interface PositionEvidence {
  readonly id: number;
  /** The token that the seed demands on the validator's logits. */
  readonly demanded: number;
  /** How much the chosen token is short of it, in logits; 0 where it is the demanded one. */
  readonly margin: number;
  /** Spread of the recorded values around the validator's, in nats; undefined where too few are above the floor. */
  readonly spread: number | undefined;
}

/** One entry for each output token. */
export function inspectPositions(
  input: Pick<ScoreInput, "params" | "seed" | "ids" | "prefixIds" | "artifact" | "validator" | "candidates">,
): PositionEvidence[] {
  const prefixIds = input.prefixIds ?? [];
  const previous = countsOf(prefixIds);
  return input.ids.map((id, position) => {
    const logits = input.validator[position] ?? [];
    const candidates = input.candidates?.[position] ?? logits;
    const found = margin(input.params, input.seed, prefixIds.length + position, candidates, id, previous);
    previous.set(id, (previous.get(id) ?? 0) + 1);
    const recorded = input.artifact[position];
    return { id, ...found, spread: recorded && spreadOf(recorded, id, logits) };
  });
}

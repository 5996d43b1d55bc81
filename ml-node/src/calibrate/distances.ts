/** Distances of one vector between two engines, over seeded texts. */
import { vectorDistance } from "@karat/rules";
import { renderTexts } from "../service/embedding.ts";
import type { Setting } from "./runs.ts";
import { randomFrom, type WorkItem, workload } from "./workload.ts";

/** Share of the parts of some hundred tokens: noise grows with the context. */
const LONG_TEXTS = 0.1;
const MOST_PARTS = 3;
/** Some 800 tokens: what the laboratory's contexts hold. */
const MOST_CHARACTERS = 2_000;

/** An endless supply; the same seed gives the same texts. */
export function* texts(seed: number): Generator<string> {
  const items = workload(seed, { longPrompts: LONG_TEXTS });
  const random = randomFrom(~seed);
  for (;;) {
    const parts = Array.from({ length: 1 + Math.floor(random() * MOST_PARTS) }, () => contentOf(items.next().value));
    yield parts.join("\n").slice(0, MOST_CHARACTERS);
  }
}

function contentOf({ input }: WorkItem): string {
  return "messages" in input ? input.messages.map(({ content }) => content).join("\n") : String(input.prompt);
}

export interface Pair {
  readonly recorded: Float32Array;
  readonly own: Float32Array;
}

/** Vectors of `count` texts by both sides of a setting: the executor's as requests of their own, the validator's in one. */
export async function* embedBoth(
  { executor, validator, concurrency }: Pick<Setting, "executor" | "validator" | "concurrency">,
  supply: Iterator<string>,
  count: number,
): AsyncGenerator<Pair> {
  for (let done = 0; done < count; ) {
    const group: string[] = [];
    while (group.length < Math.min(concurrency, count - done)) group.push(supply.next().value);
    const inputs = await renderTexts(validator, group);
    const recorded = await Promise.all(inputs.map((ids) => executor.embed({ inputs: [ids] })));
    const own = await validator.embed({ inputs });
    for (const [i, vector] of own.entries()) yield { recorded: recorded[i]![0]!, own: vector };
    done += group.length;
  }
}

export const distanceOf = ({ recorded, own }: Pair): number => vectorDistance(recorded, own);

/** What cheating is worth: one epoch of one participant, by the chain's checking rate, fine and exclusion. Amounts in ukarat. */
import { checkingRateMicros } from "@karat/rules";
import { checked, newcomer, type Participant, passed } from "./standing.ts";

export interface Stakes {
  name: string;
  /** Inferences in the epoch. */
  inferences: number;
  reputation: number;
  reward: bigint;
  collateral: bigint;
}

/** The chain's parameters of the same names. */
export interface Terms {
  gainPerInference: bigint;
  failureFine: bigint;
  slashBps: number;
  checkingFloorMicros: number;
  /** What the client paid: refunded. */
  price: bigint;
}

export interface Expectation {
  stakes: string;
  cheats: number;
  /** Mean gain of cheating over honesty, and its 99 % upper bound. */
  mean: number;
  upper: number;
  caught: number;
  excluded: number;
}

const KARAT = 1_000_000n;
/** Defaults of the chain. */
export const TERMS: Terms = {
  gainPerInference: 10_000n,
  failureFine: 10n * KARAT,
  slashBps: 2_000,
  checkingFloorMicros: 10_000,
  price: 20_000n,
};
export const PARTICIPANTS: readonly Stakes[] = [
  { name: "newcomer, least collateral", inferences: 50, reputation: 0, reward: 0n, collateral: 1_000n * KARAT },
  { name: "small, trusted", inferences: 200, reputation: 900_000, reward: 10n * KARAT, collateral: 1_000n * KARAT },
  {
    name: "large, trusted",
    inferences: 5_000,
    reputation: 990_000,
    reward: 5_000n * KARAT,
    collateral: 20_000n * KARAT,
  },
];
/** Power of one check, as the checking rate assumes it. */
const DETECTION = 0.95;

/** Mean over `trials` epochs in which `cheats` of the inferences, at random, are cheated. */
export function expectedGain(
  stakes: Stakes,
  terms: Terms,
  cheats: number,
  trials: number,
  random: () => number,
): Expectation {
  const rates = checkingRates(stakes, terms);
  let sum = 0;
  let squares = 0;
  let caught = 0;
  let excluded = 0;
  for (let trial = 0; trial < trials; trial++) {
    const epoch = playEpoch(stakes, terms, rates, cheats, random);
    sum += epoch.gain;
    squares += epoch.gain ** 2;
    if (epoch.caught > 0) caught++;
    if (epoch.excluded) excluded++;
  }
  const mean = sum / trials;
  const deviation = Math.sqrt(Math.max(0, squares / trials - mean ** 2));
  const upper = mean + (2.33 * deviation) / Math.sqrt(trials);
  return { stakes: stakes.name, cheats, mean, upper, caught: caught / trials, excluded: excluded / trials };
}

/** Of the first inference of the epoch, the second, … */
function checkingRates(stakes: Stakes, terms: Terms): number[] {
  return Array.from(
    { length: stakes.inferences },
    (_, i) =>
      checkingRateMicros({
        reputation: stakes.reputation,
        inferencesThisEpoch: BigInt(i + 1),
        reward: stakes.reward,
        collateral: (stakes.collateral * BigInt(terms.slashBps)) / 10_000n,
        gainPerInference: terms.gainPerInference,
        floorMicros: terms.checkingFloorMicros,
      }) / 1e6,
  );
}

/**
 * The most that one cheat is worth by itself, in ukarat, wherever in the epoch it is done and whatever else is cheated: what is saved,
 * minus what a failed check takes at once, without any hope set on exclusion. Below 0, no number of cheats and no choice of which to
 * cheat on pays, as each adds at most this. Holds while a fine's worth of collateral is left; without it nobody is drawn.
 */
export function worthOfOneCheat(stakes: Stakes, terms: Terms): number {
  const least = Math.min(...checkingRates(stakes, terms));
  const taken = Number(terms.failureFine) + Number(terms.price);
  return Number(terms.gainPerInference) - least * DETECTION * taken;
}

function playEpoch(stakes: Stakes, terms: Terms, rates: readonly number[], cheats: number, random: () => number) {
  let collateral = Number(stakes.collateral);
  let one: Participant = newcomer();
  let gain = 0;
  let caught = 0;
  let left = cheats;
  for (let i = 1; i <= stakes.inferences && one.state !== "excluded"; i++) {
    const cheated = random() * (stakes.inferences - i + 1) < left;
    if (cheated) left--;
    const rate = one.state === "good" ? (rates[i - 1] ?? 1) : 1;
    const isChecked = random() < rate;
    const failed = isChecked && cheated && random() < DETECTION;
    if (failed) {
      caught++;
      const fine = Math.min(collateral, Number(terms.failureFine));
      collateral -= fine;
      // The work was saved, but its pay goes back to the client.
      gain += Number(terms.gainPerInference) - Number(terms.price) - fine;
      one = checked(one, true);
    } else {
      if (cheated) gain += Number(terms.gainPerInference);
      if (isChecked) one = passed(one, 1);
    }
  }
  const excluded = one.state === "excluded";
  // What is slashed is a share of what the fines have left; the epoch's reward is forfeited.
  if (excluded) gain -= Number(stakes.reward) + collateral * (terms.slashBps / 10_000);
  return { gain, caught, excluded };
}

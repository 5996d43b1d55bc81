/** How long cheaters stay and whether the honest are ever excluded, by the chain's own rule for standings. */
import { recentEvidence, type StandingState, standing } from "@karat/rules";

/** The certified false-positive bound that the chain bets against. */
export const ALPHA_MICROS = 1_000;
/** Power of one check of a cheated inference. */
export const DETECTION = 0.99;

export interface Participant {
  passes: number;
  fails: number;
  recent: bigint;
  state: StandingState;
}

export const newcomer = (): Participant => ({ passes: 0, fails: 0, recent: 0n, state: "good" });

/** One check of a participant. Failures are confirmed by operators enough. */
export function checked(before: Participant, failed: boolean): Participant {
  const passes = before.passes + (failed ? 0 : 1);
  const fails = before.fails + (failed ? 1 : 0);
  const recent = recentEvidence(before.recent, failed, ALPHA_MICROS);
  return { passes, fails, recent, state: judged(passes, fails, recent) };
}

/** `count` passes in a row. Evidence only falls with a pass, so nothing is missed between. */
export function passed(before: Participant, count: number): Participant {
  let recent = before.recent;
  for (let i = 0; i < count && recent > 0n; i++) recent = recentEvidence(recent, false, ALPHA_MICROS);
  const passes = before.passes + count;
  return { ...before, passes, recent, state: judged(passes, before.fails, recent) };
}

function judged(passes: number, fails: number, recentLog2: bigint): StandingState {
  const counts = { passes: BigInt(passes), fails: BigInt(fails) };
  return standing({ ...counts, alphaMicros: ALPHA_MICROS, distinctFailOperators: 2, recentLog2 }).state;
}

export interface HonestOutcome {
  participants: number;
  checks: number;
  fails: number;
  everSuspended: number;
  excluded: number;
}

/**
 * Honest participants whose checks fail at exactly the certified bound. `correlated`: half of the failures come in bursts of 20 checks
 * (a bad driver, a strange prompt) in which one check in twenty fails.
 */
export function simulateHonest(
  participants: number,
  checks: number,
  correlated: boolean,
  random: () => number,
): HonestOutcome {
  const alpha = ALPHA_MICROS / 1e6;
  const outcome = { participants, checks, fails: 0, everSuspended: 0, excluded: 0 };
  for (let i = 0; i < participants; i++) {
    let one = newcomer();
    let suspended = false;
    let at = 0;
    for (const failAt of correlated ? burstyFails(checks, alpha, random) : steadyFails(0, checks, alpha, random)) {
      one = checked(passed(one, failAt - at), true);
      at = failAt + 1;
      outcome.fails++;
      suspended ||= one.state !== "good";
      if (one.state === "excluded") break;
    }
    if (suspended) outcome.everSuspended++;
    if (one.state === "excluded") outcome.excluded++;
  }
  return outcome;
}

/** Indices of failures at a rate, by their geometric gaps. */
function* steadyFails(from: number, to: number, rate: number, random: () => number): Generator<number> {
  for (let at = from; ; at++) {
    at += Math.floor(Math.log(1 - random()) / Math.log(1 - rate));
    if (at >= to) return;
    yield at;
  }
}

const BURST = { length: 20, rate: 0.05 };

function burstyFails(checks: number, alpha: number, random: () => number): number[] {
  const fails = new Set(steadyFails(0, checks, alpha / 2, random));
  // Bursts so often that they bring the other half.
  for (const start of steadyFails(0, checks, alpha / 2 / (BURST.length * BURST.rate), random)) {
    for (const at of steadyFails(start, Math.min(checks, start + BURST.length), BURST.rate, random)) fails.add(at);
  }
  return [...fails].sort((a, b) => a - b);
}

export interface CheaterOutcome {
  share: number;
  honestPast: number;
  /** Checks until suspension and until exclusion, after the honest past: median and 99th percentile; null where most never were. */
  suspended: readonly (number | null)[];
  excluded: readonly (number | null)[];
}

/** Participants that cheat on a share of their inferences, after an honest past of so many checks. */
export function simulateCheater(
  share: number,
  honestPast: number,
  trials: number,
  horizon: number,
  random: () => number,
): CheaterOutcome {
  const suspended: number[] = [];
  const excluded: number[] = [];
  const rate = share * DETECTION + (1 - share) * (ALPHA_MICROS / 1e6);
  for (let i = 0; i < trials; i++) {
    let one = passed(newcomer(), honestPast);
    let suspendedAt = Number.POSITIVE_INFINITY;
    let n = 0;
    while (n < horizon && one.state !== "excluded") {
      one = checked(one, random() < rate);
      n++;
      if (one.state !== "good") suspendedAt = Math.min(suspendedAt, n);
    }
    suspended.push(suspendedAt);
    excluded.push(one.state === "excluded" ? n : Number.POSITIVE_INFINITY);
  }
  return { share, honestPast, suspended: quantiles(suspended), excluded: quantiles(excluded) };
}

function quantiles(values: number[]): (number | null)[] {
  const sorted = values.sort((a, b) => a - b);
  return [0.5, 0.99].map((q) => {
    const value = sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.POSITIVE_INFINITY;
    return Number.isFinite(value) ? value : null;
  });
}

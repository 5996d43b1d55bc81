/** How evidence moves a standing and a reputation: pure functions from values to the new value. */
import { type params, reputation } from "@karat/proto";
import { recentEvidence, reputation as reputationOf, standing as standingOf } from "@karat/rules";
import { U64_MAX } from "../../numeric/checked.ts";

type Standing = reputation.Standing;
type Reputation = reputation.Reputation;
const { StandingState } = reputation;

/** The rule asks for two distinct accusers; more are kept for people who look. */
const MAX_ACCUSERS = 8;

export const newStanding = (participant: string): Standing =>
  reputation.Standing.fromPartial({ participant, state: StandingState.GOOD });

export const newReputation = (participant: string, model: string): Reputation =>
  reputation.Reputation.fromPartial({ participant, model });

export type Alphas = Pick<params.Params, "alphaMicros" | "missAlphaMicros">;

export function addPass(before: Standing, alphas: Alphas): Standing {
  const log2Recent = recentEvidence(before.log2Recent, false, alphas.alphaMicros);
  return judge({ ...before, passes: before.passes + 1n, log2Recent }, alphas);
}

/** A confirmed failure; `accusers` are the operators that confirmed it. */
export function addFail(before: Standing, accusers: readonly string[], alphas: Alphas): Standing {
  const all = [...new Set([...before.accusers, ...accusers])].slice(0, MAX_ACCUSERS);
  const log2Recent = recentEvidence(before.log2Recent, true, alphas.alphaMicros);
  return judge({ ...before, fails: before.fails + 1n, accusers: all, log2Recent }, alphas);
}

/** Promises kept: the executor has recorded what its receipts announced. */
export function addServed(before: Standing, alphas: Alphas, count = 1n): Standing {
  const log2RecentMisses = recentEvidence(before.log2RecentMisses, false, alphas.missAlphaMicros, count);
  return judge({ ...before, served: before.served + count, log2RecentMisses }, alphas);
}

/** A promise broken, on the executor's own signature. */
export function addMiss(before: Standing, alphas: Alphas): Standing {
  const log2RecentMisses = recentEvidence(before.log2RecentMisses, true, alphas.missAlphaMicros);
  return judge({ ...before, misses: before.misses + 1n, unserved: before.unserved + 1n, log2RecentMisses }, alphas);
}

/** Whether a validator's verdicts stand against committees more often than honest error explains. */
export function isUnreliable(standing: Standing, errorMicros: number): boolean {
  const { overruled, settledOverruled, looks, apart, settledLooks, settledApart } = standing;
  const answers = answersOf(standing) - standing.settledAnswers;
  return (
    isMoreThanError(answers, overruled - settledOverruled, errorMicros) ||
    // Of the few that were looked into: what nobody has looked into is no agreement.
    isMoreThanError(looks - settledLooks, apart - settledApart, errorMicros)
  );
}

function isMoreThanError(cases: bigint, wrong: bigint, errorMicros: number): boolean {
  const judged = standingOf({
    passes: cases > wrong ? cases - wrong : 0n,
    fails: wrong,
    alphaMicros: errorMicros,
    distinctFailOperators: 0,
    recentLog2: 0n,
  });
  return judged.state !== "good";
}

const answersOf = ({ dutiesAssigned, dutiesMissed }: Standing): bigint =>
  dutiesAssigned > dutiesMissed ? dutiesAssigned - dutiesMissed : 0n;

/** Out of validators' draws to the end of `epoch`; what showed it is spent. */
export function distrust(standing: Standing, epoch: bigint): Standing {
  return {
    ...standing,
    unreliableUntil: epoch + 1n,
    settledOverruled: standing.overruled,
    settledAnswers: answersOf(standing),
    settledLooks: standing.looks,
    settledApart: standing.apart,
  };
}

/** After an exclusion: the evidence is spent, the counts of service stay. */
export function exclude(before: Standing): Standing {
  return {
    ...before,
    passes: 0n,
    fails: 0n,
    abstentions: 0n,
    accusers: [],
    log2Evidence: 0n,
    log2Recent: 0n,
    served: 0n,
    unserved: 0n,
    log2Misses: 0n,
    log2RecentMisses: 0n,
    state: StandingState.EXCLUDED,
  };
}

/** The worse of what checks and broken promises say. */
function judge(counts: Standing, { alphaMicros, missAlphaMicros }: Alphas): Standing {
  const checks = standingOf({
    passes: counts.passes,
    fails: counts.fails,
    alphaMicros,
    distinctFailOperators: counts.accusers.length,
    recentLog2: counts.log2Recent,
  });
  const promises = standingOf({
    passes: counts.served,
    fails: counts.unserved,
    alphaMicros: missAlphaMicros,
    // No accuser has to be believed.
    distinctFailOperators: 2,
    recentLog2: counts.log2RecentMisses,
  });
  const state = STATES[checks.state] > STATES[promises.state] ? checks.state : promises.state;
  return { ...counts, log2Evidence: checks.log2E, log2Misses: promises.log2E, state: STATES[state] };
}

/** Falling trust has rising numbers. */
const STATES = {
  good: StandingState.GOOD,
  suspended: StandingState.SUSPENDED,
  excluded: StandingState.EXCLUDED,
} as const;

/** The row as of `epoch`: in a new one the count starts anew and the value may grow again. */
export function inEpoch(row: Reputation, epoch: bigint): Reputation {
  if (row.epoch === epoch) return row;
  return { ...row, epoch, epochStartMicros: row.valueMicros, inferencesThisEpoch: 0n };
}

/** Audited clean tokens raise the value, within an epoch by no more than the cap. */
export function credit(row: Reputation, cleanTokens: bigint, halfPoint: bigint, capMicros: number): Reputation {
  const sum = row.cleanTokens + cleanTokens;
  const clean = sum < U64_MAX ? sum : U64_MAX;
  const earned = reputationOf(clean, halfPoint);
  const ceiling = row.epochStartMicros + capMicros;
  return { ...row, cleanTokens: clean, valueMicros: earned < ceiling ? earned : ceiling };
}

/** Trust is gone: as a newcomer, the count of the epoch stays. */
export function forfeit(row: Reputation): Reputation {
  return { ...row, cleanTokens: 0n, valueMicros: 0, epochStartMicros: 0 };
}

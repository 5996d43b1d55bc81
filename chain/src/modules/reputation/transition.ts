/** How evidence moves a standing and a reputation: pure functions from values to the new value. */
import { reputation } from "@karat/proto";
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

export function addPass(before: Standing, alphaMicros: number): Standing {
  return judge({ ...before, passes: before.passes + 1n }, false, alphaMicros);
}

/** A confirmed failure; `accusers` are the operators that confirmed it. */
export function addFail(before: Standing, accusers: readonly string[], alphaMicros: number): Standing {
  const all = [...new Set([...before.accusers, ...accusers])].slice(0, MAX_ACCUSERS);
  return judge({ ...before, fails: before.fails + 1n, accusers: all }, true, alphaMicros);
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
    state: StandingState.EXCLUDED,
  };
}

function judge(counts: Standing, failed: boolean, alphaMicros: number): Standing {
  const recentLog2 = recentEvidence(counts.log2Recent, failed, alphaMicros);
  const { log2E, state } = standingOf({
    passes: counts.passes,
    fails: counts.fails,
    alphaMicros,
    distinctFailOperators: counts.accusers.length,
    recentLog2,
  });
  return { ...counts, log2Evidence: log2E, log2Recent: recentLog2, state: STATES[state] };
}

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

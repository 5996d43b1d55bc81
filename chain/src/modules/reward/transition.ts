/** Who earned what in an epoch. Pure; every division rounds down and the community gets the rest. */
import type { epoch, reward } from "@karat/proto";
import { rewardShares } from "@karat/rules";
import { addU64, mulDivFloor } from "../../numeric/checked.ts";

type EpochReward = reward.EpochReward;

const MICROS = 1_000_000n;

export function emptyRow(number: bigint, participant: string): EpochReward {
  return {
    epoch: number,
    participant,
    weight: 0n,
    assigned: 0n,
    missed: 0n,
    duties: 0n,
    dutiesMissed: 0n,
    emission: 0n,
    dutyFees: 0n,
    excluded: false,
    claimed: false,
    claimedHeight: 0n,
    workFees: 0n,
    dutiesForfeited: false,
  };
}

/** The part of assignments met times the part of duties answered, in millionths. */
export function serviceMicros(row: Pick<EpochReward, "assigned" | "missed" | "duties" | "dutiesMissed">): bigint {
  return mulDivFloor(
    partKept(row.assigned, row.missed),
    partKept(row.duties + row.dutiesMissed, row.dutiesMissed),
    MICROS,
  );
}

/** (kept + 1) / (all + 1): one virtual success, so that a single miss of a quiet epoch halves and does not destroy. */
function partKept(all: bigint, missed: bigint): bigint {
  const total = all > missed ? all : missed;
  return mulDivFloor(total - missed + 1n, MICROS, total + 1n);
}

export interface Settlement {
  /** Of every member and of everybody with a row, in order of operators. */
  readonly rows: readonly EpochReward[];
  /** What nobody earned of emission and duty fees. */
  readonly community: bigint;
}

/**
 * The emission goes by weight × service, the duty fees by duties answered. The excluded lose their shares to the
 * community, never to their neighbours.
 */
export function settleEpoch(input: {
  readonly number: bigint;
  readonly emission: bigint;
  readonly dutyPool: bigint;
  readonly members: readonly epoch.Member[];
  readonly rows: readonly EpochReward[];
}): Settlement {
  const rows = joinRows(input.number, input.members, input.rows);
  const emission = rewardShares(
    input.emission,
    rows.map((row) => ({
      id: row.participant,
      weight: row.weight,
      serviceMicros: row.excluded ? 0 : Number(serviceMicros(row)),
    })),
  );
  const duty = rewardShares(
    input.dutyPool,
    rows.map((row) => ({
      id: row.participant,
      weight: row.duties,
      serviceMicros: row.excluded || row.dutiesForfeited ? 0 : Number(MICROS),
    })),
  );
  return {
    rows: rows.map((row, i) => ({ ...row, emission: emission.shares[i]!.amount, dutyFees: duty.shares[i]!.amount })),
    community: addU64(emission.unearned, duty.unearned),
  };
}

/** The rows of those who were counted, and empty ones of the members who were not; weights from the snapshot. */
function joinRows(number: bigint, members: readonly epoch.Member[], rows: readonly EpochReward[]): EpochReward[] {
  const joined = new Map(rows.map((row) => [row.participant, row]));
  for (const { operator, weight, excludedHeight } of members) {
    const row = joined.get(operator) ?? emptyRow(number, operator);
    joined.set(operator, { ...row, weight, excluded: row.excluded || excludedHeight > 0n });
  }
  return [...joined.values()].sort((a, b) => (a.participant < b.participant ? -1 : 1));
}

/** What a row still holds. */
export function unclaimed(row: EpochReward): bigint {
  return row.claimed ? 0n : addU64(row.emission, row.dutyFees);
}

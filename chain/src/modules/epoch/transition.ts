/** Who is in a snapshot, with what weight, and what that changes in the validator set. Pure. */

import type { epoch, params } from "@karat/proto";
import { participant } from "@karat/proto";
import { compareBytes } from "@karat/rules";
import type { ValidatorUpdate } from "../../app/module.ts";
import { minU64, mulDivFloor } from "../../numeric/checked.ts";

type Member = epoch.Member;
type Epoch = epoch.Epoch;
type Participant = participant.Participant;

/**
 * Most members of a snapshot, the heaviest of all who qualify. With capacities up to 2^40 in 32 offers the total
 * weight stays under 2^54, and so within CometBFT's bound on the total power (2^60 − 1).
 */
export const MAX_MEMBERS = 512;
/** From this many members on, no weight exceeds max_weight_bps of the total. */
export const CAP_FROM_MEMBERS = 4;
const BPS = 10_000n;

/** min(Σ capacities, what the collateral covers, rounded down). */
export function weightOf(p: Participant, collateralPerWeight: bigint): bigint {
  const asked = p.offers.reduce((sum, { capacity }) => sum + capacity, 0n);
  return minU64(asked, mulDivFloor(p.collateral, 1n, collateralPerWeight));
}

/** ACTIVE, with at least the least collateral and some weight; in order of operators. */
export function snapshot(
  participants: readonly Participant[],
  rules: Pick<params.Params, "minCollateral" | "collateralPerWeight" | "maxWeightBps">,
): Member[] {
  const heaviest = participants
    .filter((p) => p.status === participant.ParticipantStatus.ACTIVE && p.collateral >= rules.minCollateral)
    .map((p) => ({ p, weight: weightOf(p, rules.collateralPerWeight) }))
    .filter(({ weight }) => weight > 0n)
    .sort((a, b) => byWeight(a.weight, b.weight) || byText(a.p.operator, b.p.operator))
    .slice(0, MAX_MEMBERS)
    .sort((a, b) => byText(a.p.operator, b.p.operator));
  const weights = capWeights(
    heaviest.map(({ weight }) => weight),
    BigInt(rules.maxWeightBps),
  );
  return heaviest.map(({ p }, i) => ({
    operator: p.operator,
    weight: weights[i]!,
    offers: p.offers,
    excludedHeight: 0n,
    suspendedHeight: 0n,
    restoredHeight: 0n,
    url: p.url,
    nodeKey: p.nodeKey,
  }));
}

/**
 * Lowers the largest weights to one ceiling c, the largest with c ≤ share of the total after capping:
 * with k capped and the rest summing to r, c = share·r / (1 − k·share), rounded down; the smallest k whose c covers
 * the largest uncapped weight is the one. Fewer than CAP_FROM_MEMBERS members, or too few for the share to be
 * possible at all, stay as they are.
 */
export function capWeights(weights: readonly bigint[], maxBps: bigint): bigint[] {
  if (weights.length < CAP_FROM_MEMBERS || BigInt(weights.length) * maxBps < BPS) return [...weights];
  const falling = [...weights].sort(byWeight);
  let rest = falling.reduce((sum, weight) => sum + weight, 0n);
  for (let capped = 0; BigInt(capped) * maxBps < BPS; capped++) {
    const ceiling = mulDivFloor(rest, maxBps, BPS - BigInt(capped) * maxBps);
    const next = falling[capped] ?? 0n;
    if (next <= ceiling) return weights.map((weight) => minU64(weight, capped === 0 ? weight : ceiling));
    rest -= next;
  }
  return [...weights];
}

/** Less traffic from `height` on; once in an epoch, since draws of the past must stay what they were. */
export const suspend = (member: Member, height: bigint): Member =>
  member.suspendedHeight > 0n ? member : { ...member, suspendedHeight: height };

export const restore = (member: Member, height: bigint): Member =>
  member.suspendedHeight === 0n || member.restoredHeight > 0n ? member : { ...member, restoredHeight: height };

/** Who ends an epoch suspended begins the next one so. */
export function carrySuspensions(ended: Epoch, next: Epoch): Epoch {
  const suspended = new Set(
    ended.members.filter((m) => m.suspendedHeight > 0n && m.restoredHeight === 0n).map(({ operator }) => operator),
  );
  if (suspended.size === 0) return next;
  const members = next.members.map((member) =>
    suspended.has(member.operator)
      ? { ...member, suspendedHeight: next.startHeight, restoredHeight: 0n }
      : { ...member, suspendedHeight: 0n, restoredHeight: 0n },
  );
  return { ...next, members };
}

/** True for a member convicted while this epoch ran (not for one who was carried over excluded already). */
export function convictedDuring(of: Epoch, operator: string): boolean {
  const member = of.members.find((entry) => entry.operator === operator);
  return member !== undefined && member.excludedHeight > of.startHeight;
}

/** Whether a member takes part in draws for this height. */
export function isDrawn(member: Member, height: bigint): boolean {
  return member.weight > 0n && (member.excludedHeight === 0n || height < member.excludedHeight);
}

/** The epoch after `ended`. Nobody qualifies: the previous members stay, excluded as they are. */
export function nextEpoch(ended: Epoch, members: readonly Member[], epochBlocks: bigint): Epoch {
  const startHeight = ended.endHeight + 1n;
  return {
    number: ended.number + 1n,
    startHeight,
    endHeight: startHeight + epochBlocks - 1n,
    members: members.length > 0 ? [...members] : ended.members,
    settled: false,
  };
}

/** Members who run a consensus node, power = weight, in order of keys. */
export function consensusSet(
  members: readonly Member[],
  keyOf: (operator: string) => Uint8Array | undefined,
): ValidatorUpdate[] {
  return members
    .flatMap(({ operator, weight }) => {
      const publicKey = keyOf(operator);
      return publicKey === undefined || publicKey.length === 0 ? [] : [{ publicKey, power: weight }];
    })
    .sort((a, b) => compareBytes(a.publicKey, b.publicKey));
}

/** What turns one set into the other; power 0 removes. Never removes everybody: an empty target changes nothing. */
export function validatorChanges(
  from: readonly ValidatorUpdate[],
  to: readonly ValidatorUpdate[],
): readonly ValidatorUpdate[] {
  if (to.length === 0) return [];
  const same = (a: ValidatorUpdate, b: ValidatorUpdate) => compareBytes(a.publicKey, b.publicKey) === 0;
  const removed = from.filter((old) => !to.some((entry) => same(old, entry)));
  const changed = to.filter((entry) => !from.some((old) => same(old, entry) && old.power === entry.power));
  return [...removed.map(({ publicKey }) => ({ publicKey, power: 0n })), ...changed].sort((a, b) =>
    compareBytes(a.publicKey, b.publicKey),
  );
}

/** Heights for which beacons are kept: an anchor, its inference, and the draws after it. */
export function beaconWindow(p: Pick<params.Params, "maxAnchorAge" | "inferenceDeadline">): bigint {
  return p.maxAnchorAge + p.inferenceDeadline + 100n;
}

const byWeight = (a: bigint, b: bigint): number => (a > b ? -1 : a < b ? 1 : 0);
const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

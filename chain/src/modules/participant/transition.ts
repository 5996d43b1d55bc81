/** What may happen to a participant: a table of its states and pure functions that give the new value. */
import { addressOfKey } from "@karat/common";
import { type params, participant } from "@karat/proto";
import { ChainError } from "../../app/errors.ts";
import { addU64, minU64, mulDivFloor, subU64 } from "../../numeric/checked.ts";
import { PARTICIPANT_ERRORS } from "./errors.ts";

type Participant = participant.Participant;
type Status = participant.ParticipantStatus;
const { ParticipantStatus } = participant;
const { ACTIVE, EXCLUDED, BANNED, LEAVING } = ParticipantStatus;

export type Step = "update" | "fund" | "leave" | "convict" | "ban" | "reinstate";

/** Every legal edge; what is not here is refused. A leaving or banned participant can still be convicted for its past. */
export const EDGES: Readonly<Record<Status, Readonly<Partial<Record<Step, Status>>>>> = {
  [ParticipantStatus.UNSPECIFIED]: {},
  [ACTIVE]: { update: ACTIVE, fund: ACTIVE, leave: LEAVING, convict: EXCLUDED, ban: BANNED },
  [EXCLUDED]: { update: EXCLUDED, fund: EXCLUDED, leave: LEAVING, ban: BANNED, reinstate: ACTIVE },
  // Keys may still have to be replaced while the last inferences finish.
  [LEAVING]: { update: LEAVING, convict: LEAVING, ban: BANNED },
  [BANNED]: { leave: BANNED },
};

/** The status after a step. Throws `banned` or `leaving`. */
export function follow(p: Participant, step: Step): Status {
  const next = EDGES[p.status][step];
  if (next !== undefined) return next;
  const kind = p.status === BANNED ? PARTICIPANT_ERRORS.banned : PARTICIPANT_ERRORS.leaving;
  throw new ChainError(kind, `${p.operator} is ${participant.participantStatusToJSON(p.status)}: no ${step}`);
}

export function register(
  message: participant.MsgRegisterParticipant,
  at: { readonly height: bigint; readonly convictions: number },
): Participant {
  return {
    operator: message.operator,
    nodeKey: message.nodeKey,
    nodeAddress: addressOfKey(message.nodeKey),
    validatorAddress: message.validatorAddress,
    consensusKey: message.consensusKey,
    url: message.url,
    collateral: message.collateral,
    offers: message.offers,
    status: ACTIVE,
    convictions: at.convictions,
    excludedEpoch: 0n,
    joinedHeight: at.height,
    unlockHeight: 0n,
    bonded: 0n,
    number: 0,
  };
}

/** Replaces what the message gives. */
export function update(p: Participant, message: participant.MsgUpdateParticipant): Participant {
  const status = follow(p, "update");
  const keyed = message.nodeKey.length > 0;
  return {
    ...p,
    status,
    nodeKey: keyed ? message.nodeKey : p.nodeKey,
    nodeAddress: keyed ? addressOfKey(message.nodeKey) : p.nodeAddress,
    validatorAddress: message.validatorAddress || p.validatorAddress,
    url: message.url || p.url,
    offers: message.offers.length > 0 ? message.offers : p.offers,
  };
}

export function fund(p: Participant, amount: bigint): Participant {
  return { ...p, status: follow(p, "fund"), collateral: addU64(p.collateral, amount) };
}

/** A banned participant leaves, too: that is how it gets back what was not slashed. */
export function leave(p: Participant, height: bigint, unbondingBlocks: bigint): Participant {
  if (p.unlockHeight !== 0n) throw new ChainError(PARTICIPANT_ERRORS.leaving, `unlocks at ${p.unlockHeight}`);
  return { ...p, status: follow(p, "leave"), unlockHeight: addU64(height, unbondingBlocks) };
}

/** Collateral that may be withdrawn now. Throws `not leaving`, `still locked`, `nothing to withdraw`. */
export function withdrawable(p: Participant, height: bigint): bigint {
  if (p.unlockHeight === 0n) throw new ChainError(PARTICIPANT_ERRORS.notLeaving, `${p.operator} has not left`);
  if (height < p.unlockHeight) {
    throw new ChainError(PARTICIPANT_ERRORS.stillLocked, `collateral unlocks at height ${p.unlockHeight}`);
  }
  if (p.collateral === 0n) throw new ChainError(PARTICIPANT_ERRORS.nothingToWithdraw, "no collateral is left");
  return p.collateral;
}

/** Undefined where the collateral that is not bonded yet does not cover it. */
export function lockBond(p: Participant, amount: bigint): Participant | undefined {
  return amount > p.collateral - minU64(p.bonded, p.collateral)
    ? undefined
    : { ...p, bonded: addU64(p.bonded, amount) };
}

export function releaseBond(p: Participant, amount: bigint): Participant {
  return { ...p, bonded: subU64(p.bonded, minU64(amount, p.bonded)) };
}

/** Takes a fine from the collateral, as far as it goes. */
export function fine(p: Participant, amount: bigint): { readonly participant: Participant; readonly taken: bigint } {
  const taken = amount < p.collateral ? amount : p.collateral;
  return { participant: { ...p, collateral: subU64(p.collateral, taken) }, taken };
}

/**
 * A conviction: a share of the collateral (rounded down) is slashed and the participant is out. One sentence covers
 * an epoch: while excluded, or convicted again for the same epoch, or banned, nothing more is added; what each
 * further failure costs is the fine.
 */
export function convict(
  p: Participant,
  epoch: bigint,
  rules: Pick<params.Params, "slashBps" | "banAfterConvictions">,
): { readonly participant: Participant; readonly slashed: bigint } | undefined {
  const sentenced =
    p.status === EXCLUDED ||
    p.status === BANNED ||
    (p.convictions > 0 && p.excludedEpoch >= epoch && p.status === LEAVING);
  if (sentenced) return undefined;
  const convictions = p.convictions + 1;
  const status = follow(p, convictions >= rules.banAfterConvictions ? "ban" : "convict");
  const slashed = mulDivFloor(p.collateral, BigInt(rules.slashBps), 10_000n);
  return {
    participant: { ...p, status, convictions, excludedEpoch: epoch, collateral: subU64(p.collateral, slashed) },
    slashed,
  };
}

/** Back from exclusion. */
export function reinstate(p: Participant): Participant {
  return { ...p, status: follow(p, "reinstate") };
}

/** Out for good. */
export function tombstone(p: Participant): Participant {
  return { ...p, status: follow(p, "ban") };
}

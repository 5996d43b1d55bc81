import { sha256 } from "@karat/common";
import { participant } from "@karat/proto";
import { ChainError } from "../../app/errors.ts";
import type { Context } from "../../app/module.ts";
import { mulDivFloor } from "../../numeric/checked.ts";
import { PARTICIPANT_ERRORS } from "./errors.ts";
import { participantExcluded, participantFined } from "./events.ts";
import type { ParticipantDeps } from "./expects.ts";
import {
  ACCOUNT,
  byConsensusAddress,
  byConsensusKey,
  byNode,
  byNumber,
  byValidator,
  COMMUNITY,
  count,
  nextNumber,
  participants,
  STORE,
} from "./keys.ts";
import { convict, fine, lockBond, reinstate, releaseBond, tombstone } from "./transition.ts";

type Participant = participant.Participant;

/** Most entries in the registry: the loop over all of them at an epoch switch stays within one block. */
export const MAX_PARTICIPANTS = 4_096;

export interface FineShare {
  readonly to: string;
  readonly bps: number;
}

export interface ParticipantKeeper {
  byOperator(ctx: Context, address: string): Participant | undefined;
  byNumber(ctx: Context, number: number): Participant | undefined;
  byNodeAddress(ctx: Context, address: string): Participant | undefined;
  byValidatorAddress(ctx: Context, address: string): Participant | undefined;
  /** In any of its roles; the operator's comes first. */
  byAddress(ctx: Context, address: string): Participant | undefined;
  /** In order of operators, at most MAX_PARTICIPANTS. */
  all(ctx: Context): Participant[];
  /** Those of status ACTIVE. */
  active(ctx: Context): Participant[];
  /** True for the node and validator accounts of participants that are not banned: their records pay no fee. */
  isProtocolSigner(ctx: Context, address: string): boolean;
  /**
   * Moves a fine from the collateral to the community, as far as it goes, and a share of it (rounded down) to whoever brought it
   * about; returns what was taken.
   */
  fine(ctx: Context, operator: string, amount: bigint, share?: FineShare): bigint;
  /** Locks a part of the collateral behind an accusation; false where what is free does not cover it. */
  lockBond(ctx: Context, operator: string, amount: bigint): boolean;
  /** Unlocks it again, as far as there still is one. */
  releaseBond(ctx: Context, operator: string, amount: bigint): void;
  /**
   * Excludes or bans, slashes to the community, emits `participant_excluded`; returns what was slashed: 0n where
   * a sentence is in force or nobody of that name is registered.
   */
  convict(ctx: Context, operator: string, epoch: bigint): bigint;
  byConsensusAddress(ctx: Context, address: Uint8Array): Participant | undefined;
  /** Moves a share of the collateral, rounded down, to the community; returns what was taken. */
  slash(ctx: Context, operator: string, bps: number): bigint;
  /** BANNED, from whatever state, for good. */
  tombstone(ctx: Context, operator: string): void;
  /** EXCLUDED → ACTIVE, at an epoch switch. */
  reinstate(ctx: Context, operator: string): void;
}

export function createParticipantKeeper({ bank, params }: Pick<ParticipantDeps, "bank" | "params">): ParticipantKeeper {
  const keeper: ParticipantKeeper = {
    byOperator: (ctx, address) => participants.get(ctx.store(STORE), address),

    byNumber(ctx, number) {
      const operator = byNumber.get(ctx.store(STORE), BigInt(number));
      return operator === undefined ? undefined : keeper.byOperator(ctx, operator);
    },

    byNodeAddress(ctx, address) {
      const operator = byNode.get(ctx.store(STORE), address);
      return operator === undefined ? undefined : keeper.byOperator(ctx, operator);
    },

    byValidatorAddress(ctx, address) {
      const operator = byValidator.get(ctx.store(STORE), address);
      return operator === undefined ? undefined : keeper.byOperator(ctx, operator);
    },

    byAddress: (ctx, address) =>
      keeper.byOperator(ctx, address) ?? keeper.byValidatorAddress(ctx, address) ?? keeper.byNodeAddress(ctx, address),

    all: (ctx) =>
      Array.from(participants.entries(ctx.store(STORE), { limit: MAX_PARTICIPANTS }), ([, participant]) => participant),

    active: (ctx) => keeper.all(ctx).filter(({ status }) => status === participant.ParticipantStatus.ACTIVE),

    isProtocolSigner(ctx, address) {
      const owner = keeper.byNodeAddress(ctx, address) ?? keeper.byValidatorAddress(ctx, address);
      return owner !== undefined && owner.status !== participant.ParticipantStatus.BANNED;
    },

    lockBond(ctx, operator, amount) {
      const current = keeper.byOperator(ctx, operator);
      const locked = current && lockBond(current, amount);
      if (locked === undefined) return false;
      participants.set(ctx.store(STORE), operator, locked);
      return true;
    },

    releaseBond(ctx, operator, amount) {
      const current = keeper.byOperator(ctx, operator);
      if (current !== undefined) participants.set(ctx.store(STORE), operator, releaseBond(current, amount));
    },

    fine(ctx, operator, amount, share) {
      const current = keeper.byOperator(ctx, operator);
      if (current === undefined) return 0n;
      const { participant: fined, taken } = fine(current, amount);
      if (taken === 0n) return 0n;
      participants.set(ctx.store(STORE), operator, fined);
      const reward = share === undefined ? 0n : mulDivFloor(taken, BigInt(share.bps), 10_000n);
      if (share !== undefined && reward > 0n) bank.send(ctx, ACCOUNT, share.to, reward);
      bank.send(ctx, ACCOUNT, COMMUNITY, taken - reward);
      participantFined(ctx, operator, taken);
      return taken;
    },

    convict(ctx, operator, epoch) {
      const current = keeper.byOperator(ctx, operator);
      const sentence = current && convict(current, epoch, params.get(ctx));
      if (sentence === undefined) return 0n;
      participants.set(ctx.store(STORE), operator, sentence.participant);
      bank.send(ctx, ACCOUNT, COMMUNITY, sentence.slashed);
      participantExcluded(ctx, sentence.participant, sentence.slashed);
      return sentence.slashed;
    },

    byConsensusAddress(ctx, address) {
      const operator = byConsensusAddress.get(ctx.store(STORE), address);
      return operator === undefined ? undefined : keeper.byOperator(ctx, operator);
    },

    slash(ctx, operator, bps) {
      const current = keeper.byOperator(ctx, operator);
      return current === undefined
        ? 0n
        : keeper.fine(ctx, operator, mulDivFloor(current.collateral, BigInt(bps), 10_000n));
    },

    tombstone(ctx, operator) {
      const current = keeper.byOperator(ctx, operator);
      if (current === undefined || current.status === participant.ParticipantStatus.BANNED) return;
      participants.set(ctx.store(STORE), operator, tombstone(current));
    },

    reinstate(ctx, operator) {
      participants.set(ctx.store(STORE), operator, reinstate(registered(keeper, ctx, operator)));
    },
  };
  return keeper;
}

/** What CometBFT calls the validator of this key. */
export const consensusAddress = (key: Uint8Array): Uint8Array => sha256(key).slice(0, 20);

/** Throws `not registered`. */
export function registered(keeper: ParticipantKeeper, ctx: Context, operator: string): Participant {
  const found = keeper.byOperator(ctx, operator);
  if (found === undefined) throw new ChainError(PARTICIPANT_ERRORS.notRegistered, `${operator} is not registered`);
  return found;
}

/**
 * Writes a new participant, which gets the next number unless it has one, or one that replaces `before`, with its indexes.
 * Throws `key taken` before it writes.
 */
export function store(ctx: Context, entry: Participant, before?: Participant): void {
  const writer = ctx.store(STORE);
  const next = nextNumber.get(writer) ?? 1n;
  const after = entry.number === 0 ? { ...entry, number: Number(next) } : entry;
  const claim = (owner: string | undefined, what: string): void => {
    if (owner !== undefined && owner !== after.operator) {
      throw new ChainError(PARTICIPANT_ERRORS.keyTaken, `another participant has the ${what}`);
    }
  };
  claim(byNumber.get(writer, BigInt(after.number)), "number");
  claim(byNode.get(writer, after.nodeAddress), "node key");
  claim(byValidator.get(writer, after.validatorAddress), "validator address");
  if (after.consensusKey.length > 0) claim(byConsensusKey.get(writer, after.consensusKey), "consensus key");
  if (before !== undefined) removeIndexes(ctx, before);
  else count.set(writer, (count.get(writer) ?? 0n) + 1n);
  if (BigInt(after.number) >= next) nextNumber.set(writer, BigInt(after.number) + 1n);
  byNumber.set(writer, BigInt(after.number), after.operator);
  byNode.set(writer, after.nodeAddress, after.operator);
  byValidator.set(writer, after.validatorAddress, after.operator);
  if (after.consensusKey.length > 0) {
    byConsensusKey.set(writer, after.consensusKey, after.operator);
    byConsensusAddress.set(writer, consensusAddress(after.consensusKey), after.operator);
  }
  participants.set(writer, after.operator, after);
}

/** Deletes a participant with its indexes. */
export function remove(ctx: Context, entry: Participant): void {
  const writer = ctx.store(STORE);
  removeIndexes(ctx, entry);
  participants.delete(writer, entry.operator);
  count.set(writer, (count.get(writer) ?? 0n) - 1n);
}

function removeIndexes(ctx: Context, of: Participant): void {
  const writer = ctx.store(STORE);
  byNumber.delete(writer, BigInt(of.number));
  byNode.delete(writer, of.nodeAddress);
  byValidator.delete(writer, of.validatorAddress);
  if (of.consensusKey.length === 0) return;
  byConsensusKey.delete(writer, of.consensusKey);
  byConsensusAddress.delete(writer, consensusAddress(of.consensusKey));
}

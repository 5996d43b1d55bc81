/** What this module wants of others; the composition root hands it over. Participants are operator addresses. */
import type { epoch, inference, params, participant } from "@karat/proto";
import type { Context } from "../../app/module.ts";
import type { Failure } from "../reputation/index.ts";

export interface Params {
  get(ctx: Context): params.Params;
}

export interface Participants {
  byValidatorAddress(ctx: Context, address: string): participant.Participant | undefined;
  all(ctx: Context): participant.Participant[];
  lockBond(ctx: Context, operator: string, amount: bigint): boolean;
  releaseBond(ctx: Context, operator: string, amount: bigint): void;
  /** Takes up to so much of the collateral for the community. */
  fine(ctx: Context, operator: string, amount: bigint): bigint;
}

export interface Epochs {
  current(ctx: Context): epoch.Epoch;
  beacon(ctx: Context, height: bigint): Uint8Array | undefined;
  /** Members of the current epoch that are active now. */
  members(ctx: Context): readonly Pick<epoch.Member, "operator" | "weight">[];
}

export interface Rewards {
  /** A duty was answered. */
  duty(ctx: Context, operator: string, epoch: bigint): void;
  dutyMissed(ctx: Context, operator: string, epoch: bigint): void;
}

export interface Reputation {
  /** Of the next `count` inferences of a pair together, the rate of the last. */
  checkingRates(ctx: Context): (operator: string, model: string, count: bigint) => number;
  finished(ctx: Context, operator: string, model: string, count: bigint): void;
  dutyAssigned(ctx: Context, validator: string): void;
  dutyMissed(ctx: Context, validator: string): void;
  /** Committed and never opened it. */
  unrevealed(ctx: Context, validator: string): void;
  overruled(ctx: Context, validator: string): void;
  /** A committee's windows were compared with its own, or it did not open one. */
  looked(ctx: Context, validator: string, apart: boolean): void;
  /** Overruled more often than error explains: not drawn as a validator. */
  isDistrusted(ctx: Context, validator: string): boolean;
  pass(ctx: Context, operator: string, model: string, cleanTokens: bigint): void;
  abstain(ctx: Context, operator: string): void;
  fail(ctx: Context, failure: Failure): void;
}

export interface Inferences {
  get(ctx: Context, id: Uint8Array): inference.Inference | undefined;
  /** FINISHED before `height` and not drawn yet, oldest first; taken off the list. */
  takeFinished(ctx: Context, height: bigint, limit: number): inference.Inference[];
  isDisputed(inference: inference.Inference): boolean;
  isUndrawn(ctx: Context, inference: inference.Inference): boolean;
  /** FINISHED, drawn and not to be paid yet: what a check must be open for. For the invariant. */
  awaitingDecision(ctx: Context): Uint8Array[];
  accept(ctx: Context, id: Uint8Array): void;
  /** True when the inference was not at an end before. */
  invalidate(ctx: Context, id: Uint8Array): boolean;
  leaveUndecided(ctx: Context, id: Uint8Array): void;
}

export interface VerificationDeps {
  readonly params: Params;
  readonly participants: Participants;
  readonly epochs: Epochs;
  readonly rewards: Rewards;
  readonly reputation: Reputation;
  readonly inferences: Inferences;
}

/** What this module wants of others; the composition root hands it over. Amounts in ukarat. */
import type { epoch, params, participant } from "@karat/proto";
import type { Context } from "../../app/module.ts";

export interface Params {
  get(ctx: Context): params.Params;
  model(ctx: Context, id: string): params.Model | undefined;
}

export interface Participants {
  byOperator(ctx: Context, address: string): participant.Participant | undefined;
  /** Takes up to `amount` of the collateral for the community; gives back what was taken. */
  fine(ctx: Context, operator: string, amount: bigint, share?: { readonly to: string; readonly bps: number }): bigint;
  /** Slashes, counts the conviction, excludes or bans; gives back what was slashed. */
  convict(ctx: Context, operator: string, epoch: bigint): bigint;
}

export interface Epochs {
  current(ctx: Context): epoch.Epoch;
  /** No draws with anchors from the next height on, no duties. */
  exclude(ctx: Context, operator: string): void;
  /** Draws of executors take it with less weight. */
  suspend(ctx: Context, operator: string): void;
  restore(ctx: Context, operator: string): void;
}

export interface Rewards {
  /** Forfeits the rewards from that epoch through the present one. */
  exclude(ctx: Context, operator: string, fromEpoch: bigint): void;
  /** Its duties of the epoch earn nothing. */
  forfeitDuties(ctx: Context, operator: string, epoch: bigint): void;
}

export interface ReputationDeps {
  readonly params: Params;
  readonly participants: Participants;
  readonly epochs: Epochs;
  readonly rewards: Rewards;
}

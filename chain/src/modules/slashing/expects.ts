/** What this module wants of others; the composition root hands it over. */
import type { epoch, params, participant } from "@karat/proto";
import type { Context } from "../../app/module.ts";

export interface Params {
  get(ctx: Context): params.Params;
}

export interface Participants {
  byOperator(ctx: Context, address: string): participant.Participant | undefined;
  /** By the consensus address that CometBFT names validators by. */
  byConsensusAddress(ctx: Context, address: Uint8Array): participant.Participant | undefined;
  /** Takes a share of the collateral for the community; gives back what was taken. */
  slash(ctx: Context, operator: string, bps: number): bigint;
  /** Never back: whatever the state was, it is BANNED. */
  tombstone(ctx: Context, operator: string): void;
}

export interface Epochs {
  current(ctx: Context): epoch.Epoch;
  /** No draws with anchors from the next height on, no duties. */
  exclude(ctx: Context, operator: string): void;
}

export interface Rewards {
  /** Forfeits the rewards from that epoch through the present one. */
  exclude(ctx: Context, operator: string, fromEpoch: bigint): void;
}

export interface SlashingDeps {
  readonly params: Params;
  readonly participants: Participants;
  readonly epochs: Epochs;
  readonly rewards: Rewards;
}

import type { params, participant } from "@karat/proto";
import type { Context } from "../../app/module.ts";

export interface Params {
  get(ctx: Context): params.Params;
  /** What governance has scheduled for the next epoch comes into force. */
  applyPending(ctx: Context): void;
}

export interface Participants {
  /** In order of operators. */
  all(ctx: Context): participant.Participant[];
  byOperator(ctx: Context, address: string): participant.Participant | undefined;
  /** EXCLUDED → ACTIVE. */
  reinstate(ctx: Context, operator: string): void;
}

/** What a block adds to the beacon, the same on every node. */
export interface BeaconSource {
  contribution(ctx: Context): Uint8Array;
}

/** Who has lost its consensus power before the epoch is over. */
export interface Jail {
  isJailed(ctx: Context, consensusKey: Uint8Array): boolean;
  /** Whether that has changed in this block; asked once. */
  takeChanged(ctx: Context): boolean;
}

export interface EpochDeps {
  /** Default: nobody is ever jailed. */
  readonly jail?: Jail;
  readonly params: Params;
  readonly participants: Participants;
  /** Default: the block's hash. */
  readonly beacon?: BeaconSource;
}

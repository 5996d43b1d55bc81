import type { epoch, params, participant } from "@karat/proto";
import type { Context } from "../../app/module.ts";

export interface Bank {
  balance(ctx: Context, address: string): bigint;
  send(ctx: Context, from: string, to: string, amount: bigint): void;
  mint(ctx: Context, to: string, amount: bigint): void;
}

export interface Params {
  get(ctx: Context): params.Params;
}

export interface Participants {
  /** By the address of any role. */
  byAddress(ctx: Context, address: string): participant.Participant | undefined;
}

export interface Epochs {
  current(ctx: Context): epoch.Epoch;
  byNumber(ctx: Context, number: bigint): epoch.Epoch | undefined;
  markSettled(ctx: Context, number: bigint): void;
}

export interface RewardDeps {
  readonly bank: Bank;
  readonly params: Params;
  readonly participants: Participants;
  readonly epochs: Epochs;
}

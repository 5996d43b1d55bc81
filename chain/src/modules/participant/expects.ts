import type { params, participant } from "@karat/proto";
import type { Context } from "../../app/module.ts";

export interface Bank {
  balance(ctx: Context, address: string): bigint;
  send(ctx: Context, from: string, to: string, amount: bigint): void;
  /** At genesis only. */
  mint(ctx: Context, to: string, amount: bigint): void;
}

export interface Params {
  get(ctx: Context): params.Params;
  model(ctx: Context, id: string): params.Model | undefined;
}

export interface Epochs {
  /** Takes over a changed node key or URL into the snapshots that draws still use. */
  refresh(ctx: Context, participant: participant.Participant): void;
}

export interface ParticipantDeps {
  readonly bank: Bank;
  readonly params: Params;
  readonly epochs: Epochs;
}

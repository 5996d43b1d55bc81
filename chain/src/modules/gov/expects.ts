/** What this module wants of others; the composition root hands it over. Amounts in ukarat. */
import type { epoch, params, participant } from "@karat/proto";
import type { Context, MessageHandler } from "../../app/module.ts";

export interface Bank {
  balance(ctx: Context, address: string): bigint;
  send(ctx: Context, from: string, to: string, amount: bigint): void;
  /** At genesis only. */
  mint(ctx: Context, to: string, amount: bigint): void;
}

export interface Params {
  get(ctx: Context): params.Params;
}

export interface Participants {
  byOperator(ctx: Context, address: string): participant.Participant | undefined;
}

export interface Epochs {
  /** Members of the running epoch that are not excluded: who votes, with what weight. */
  members(ctx: Context): epoch.Member[];
}

export interface GovDeps {
  readonly bank: Bank;
  readonly params: Params;
  readonly participants: Participants;
  readonly epochs: Epochs;
  /** Who carries out a message of this type. */
  handler(typeUrl: string): MessageHandler | undefined;
}

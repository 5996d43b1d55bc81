import type { params } from "@karat/proto";
import type { Context } from "../../app/module.ts";

export interface Bank {
  balance(ctx: Context, address: string): bigint;
  send(ctx: Context, from: string, to: string, amount: bigint): void;
  /** At genesis only. */
  mint(ctx: Context, to: string, amount: bigint): void;
}

export interface Params {
  get(ctx: Context): params.Params;
}

export interface DepositDeps {
  readonly bank: Bank;
  readonly params: Params;
}

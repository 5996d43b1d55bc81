import type { Module } from "../../app/module.ts";
import type { Accounts } from "./expects.ts";
import { type BankGenesis, exportBankGenesis, initBankGenesis } from "./genesis.ts";
import { bankInvariants } from "./invariants.ts";
import { type Bank, createBankKeeper } from "./keeper.ts";
import { STORE } from "./keys.ts";
import { MSG_MULTI_SEND, multiSendHandler } from "./msgs/multiSend.ts";
import { MSG_SEND, sendHandler } from "./msgs/send.ts";
import { bankQueries } from "./queries.ts";

export type { BankGenesis } from "./genesis.ts";
export type { Bank } from "./keeper.ts";

export interface BankOptions {
  readonly accounts: Accounts;
  /** Addresses that take no coins from messages: accounts of modules, whose balances are bookkeeping. */
  readonly blocked: ReadonlySet<string>;
}

export function createBankModule(options: BankOptions): Module & Bank {
  const keeper = createBankKeeper(options.accounts);
  return {
    ...keeper,
    name: STORE,
    messages: {
      [MSG_SEND]: sendHandler(keeper, options.blocked),
      [MSG_MULTI_SEND]: multiSendHandler(keeper, options.blocked),
    },
    queries: bankQueries(keeper),
    initGenesis: (ctx, state) => initBankGenesis(ctx, keeper, state as BankGenesis),
    exportGenesis: exportBankGenesis,
    invariants: bankInvariants,
  };
}

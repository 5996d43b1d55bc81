import type { Module } from "../../app/module.ts";
import type { DepositDeps } from "./expects.ts";
import { exportDeposits, initDeposits } from "./genesis.ts";
import { depositInvariants } from "./invariants.ts";
import { createDepositKeeper, type DepositKeeper } from "./keeper.ts";
import { STORE } from "./keys.ts";
import { depositHandler, MSG_DEPOSIT } from "./msgs/deposit.ts";
import { MSG_REQUEST_REFUND, requestRefundHandler } from "./msgs/requestRefund.ts";
import { MSG_WITHDRAW, withdrawHandler } from "./msgs/withdraw.ts";
import { depositQueries } from "./queries.ts";
import { DepositsTogether } from "./together.ts";

export { DEPOSIT_ERRORS } from "./errors.ts";
export type { DepositDeps } from "./expects.ts";
export type { DepositKeeper } from "./keeper.ts";

export type DepositModule = Module &
  DepositKeeper & {
    /** For the records of one message. */
    together(): DepositsTogether;
  };

export function createDepositModule(deps: DepositDeps): DepositModule {
  const keeper = createDepositKeeper(deps.bank);
  return {
    ...keeper,
    together: () => new DepositsTogether(keeper),
    name: STORE,
    messages: {
      [MSG_DEPOSIT]: depositHandler(keeper, deps),
      [MSG_REQUEST_REFUND]: requestRefundHandler(keeper, deps),
      [MSG_WITHDRAW]: withdrawHandler(keeper, deps),
    },
    queries: depositQueries(keeper),
    initGenesis: (ctx, state) => initDeposits(deps, ctx, state),
    exportGenesis: (ctx) => exportDeposits(ctx),
    invariants: (ctx) => depositInvariants(deps.bank, ctx),
  };
}

import type { Module } from "../../app/module.ts";
import { endPeriods } from "./endBlock.ts";
import type { GovDeps } from "./expects.ts";
import { exportGov, initGov } from "./genesis.ts";
import { govInvariants } from "./invariants.ts";
import { STORE } from "./keys.ts";
import { govMessages } from "./msgs.ts";
import { govQueries } from "./queries.ts";

export { GOV_ERRORS } from "./errors.ts";
export type { GovDeps } from "./expects.ts";
export { MAX_OPEN } from "./keeper.ts";

/** Ends blocks before the epochs do: who decides is who was in the epoch that ends. */
export function createGovModule(deps: GovDeps): Module {
  return {
    name: STORE,
    messages: govMessages(deps),
    queries: govQueries(deps),
    initGenesis: (ctx, state) => initGov(deps.bank, ctx, state),
    exportGenesis: (ctx) => exportGov(ctx),
    endBlock(ctx) {
      endPeriods(deps, ctx);
      return undefined;
    },
    invariants: (ctx) => govInvariants(deps.bank, ctx),
  };
}

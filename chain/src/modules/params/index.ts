import type { Module } from "../../app/module.ts";
import { exportParams, initParams } from "./genesis.ts";
import { createParamsKeeper, type ParamsKeeper } from "./keeper.ts";
import { STORE } from "./keys.ts";
import { paramsMessages } from "./msgs.ts";
import { paramsQueries } from "./queries.ts";

export { DEFAULT_PARAMS, LOCALNET_PARAMS } from "./defaults.ts";
export { PARAMS_ERRORS } from "./errors.ts";
export { MAX_MODELS, type ParamsKeeper } from "./keeper.ts";
export { evidenceBlocks, validateModel, validateParams } from "./transition.ts";

export type ParamsModule = Module & ParamsKeeper;

export function createParamsModule(): ParamsModule {
  const keeper = createParamsKeeper();
  return {
    ...keeper,
    name: STORE,
    messages: paramsMessages(keeper),
    queries: paramsQueries(keeper),
    initGenesis: (ctx, state) => initParams(keeper, ctx, state),
    exportGenesis: (ctx) => exportParams(keeper, ctx),
  };
}

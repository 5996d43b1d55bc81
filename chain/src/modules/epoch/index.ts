import type { Module } from "../../app/module.ts";
import { advanceBeacon, blockHashBeacon } from "./beacon.ts";
import type { EpochDeps } from "./expects.ts";
import { exportEpochs, initEpochs } from "./genesis.ts";
import { epochInvariants } from "./invariants.ts";
import { createEpochKeeper, type EpochKeeper } from "./keeper.ts";
import { STORE } from "./keys.ts";
import { epochQueries } from "./queries.ts";
import { switchEpoch, updateValidators } from "./switchEpoch.ts";
import { beaconWindow } from "./transition.ts";

export { blockHashBeacon } from "./beacon.ts";
export { EPOCH_ERRORS } from "./errors.ts";
export type { BeaconSource, EpochDeps } from "./expects.ts";
export type { Candidate, CandidateFilter, EpochKeeper } from "./keeper.ts";
export { MAX_MEMBERS } from "./transition.ts";

export type EpochModule = Module & EpochKeeper;

/** Begins blocks before every other module (the beacon) and ends them after every other (the switch). */
export function createEpochModule(deps: EpochDeps): EpochModule {
  const keeper = createEpochKeeper();
  return {
    ...keeper,
    name: STORE,
    queries: epochQueries(keeper),
    initGenesis: (ctx, state) => initEpochs(keeper, deps, ctx, state),
    exportGenesis: (ctx) => exportEpochs(keeper, ctx),
    beginBlock: (ctx) => advanceBeacon(ctx, deps.beacon ?? blockHashBeacon, beaconWindow(deps.params.get(ctx))),
    endBlock(ctx) {
      const jailed = deps.jail?.takeChanged(ctx) ?? false;
      if (ctx.height >= keeper.current(ctx).endHeight) return switchEpoch(keeper, deps, ctx);
      return jailed ? updateValidators(keeper, deps, ctx) : undefined;
    },
    invariants: (ctx) => epochInvariants(keeper, ctx),
  };
}

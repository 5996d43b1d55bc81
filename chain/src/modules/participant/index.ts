import type { Module } from "../../app/module.ts";
import type { ParticipantDeps } from "./expects.ts";
import { exportParticipants, initParticipants } from "./genesis.ts";
import { participantInvariants } from "./invariants.ts";
import { createParticipantKeeper, type ParticipantKeeper } from "./keeper.ts";
import { STORE } from "./keys.ts";
import { addCollateralHandler, MSG_ADD_COLLATERAL } from "./msgs/addCollateral.ts";
import { leaveHandler, MSG_LEAVE } from "./msgs/leave.ts";
import { MSG_REGISTER, registerHandler } from "./msgs/registerParticipant.ts";
import { MSG_UPDATE, updateHandler } from "./msgs/updateParticipant.ts";
import { MSG_WITHDRAW_COLLATERAL, withdrawCollateralHandler } from "./msgs/withdrawCollateral.ts";
import { participantQueries } from "./queries.ts";

export { PARTICIPANT_ERRORS } from "./errors.ts";
export type { ParticipantDeps } from "./expects.ts";
export { MAX_PARTICIPANTS, type ParticipantKeeper } from "./keeper.ts";

export type ParticipantModule = Module & ParticipantKeeper;

export function createParticipantModule(deps: ParticipantDeps): ParticipantModule {
  const keeper = createParticipantKeeper(deps);
  return {
    ...keeper,
    name: STORE,
    messages: {
      [MSG_REGISTER]: registerHandler(keeper, deps),
      [MSG_UPDATE]: updateHandler(keeper, deps),
      [MSG_ADD_COLLATERAL]: addCollateralHandler(keeper, deps),
      [MSG_LEAVE]: leaveHandler(keeper, deps),
      [MSG_WITHDRAW_COLLATERAL]: withdrawCollateralHandler(keeper, deps),
    },
    queries: participantQueries(keeper),
    initGenesis: (ctx, state) => initParticipants(keeper, deps, ctx, state),
    exportGenesis: (ctx) => exportParticipants(keeper, ctx),
    invariants: (ctx) => participantInvariants(deps.bank, ctx),
  };
}

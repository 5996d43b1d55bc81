import { epoch } from "@karat/proto";
import { ChainError } from "../../app/errors.ts";
import type { QueryHandler } from "../../app/module.ts";
import { defineQuery, found } from "../support/query.ts";
import { EPOCH_ERRORS } from "./errors.ts";
import type { EpochKeeper } from "./keeper.ts";
import { newestBeacon, STORE } from "./keys.ts";

export function epochQueries(keeper: EpochKeeper): Readonly<Record<string, QueryHandler>> {
  return {
    "/karat.epoch.v1.Query/CurrentEpoch": defineQuery(
      epoch.QueryCurrentEpochRequest,
      epoch.QueryEpochResponse,
      (ctx) => ({ epoch: keeper.current(ctx) }),
    ),

    "/karat.epoch.v1.Query/Epoch": defineQuery(
      epoch.QueryEpochRequest,
      epoch.QueryEpochResponse,
      (ctx, { number }) => ({ epoch: found(keeper.byNumber(ctx, number), `epoch ${number}`) }),
    ),

    "/karat.epoch.v1.Query/Beacon": defineQuery(epoch.QueryBeaconRequest, epoch.QueryBeaconResponse, (ctx, request) => {
      const height = request.height === 0n ? (newestBeacon.get(ctx.store(STORE)) ?? 0n) : request.height;
      const beacon = keeper.beacon(ctx, height);
      if (beacon === undefined) throw new ChainError(EPOCH_ERRORS.beaconUnavailable, `no beacon of height ${height}`);
      return { height, beacon };
    }),
  };
}

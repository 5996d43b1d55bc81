import { params } from "@karat/proto";
import type { QueryHandler } from "../../app/module.ts";
import { defineQuery } from "../support/query.ts";
import type { ParamsKeeper } from "./keeper.ts";

export function paramsQueries(keeper: ParamsKeeper): Readonly<Record<string, QueryHandler>> {
  return {
    "/karat.params.v1.Query/Params": defineQuery(params.QueryParamsRequest, params.QueryParamsResponse, (ctx) => ({
      params: keeper.get(ctx),
    })),
    "/karat.params.v1.Query/Models": defineQuery(params.QueryModelsRequest, params.QueryModelsResponse, (ctx) => ({
      models: keeper.models(ctx),
    })),
  };
}

import { params } from "@karat/proto";
import type { Context } from "../../app/module.ts";
import { asGenesis, fromGenesisJson, genesisList, genesisObject, invalidGenesis } from "../support/genesis.ts";
import { DEFAULT_PARAMS } from "./defaults.ts";
import type { ParamsKeeper } from "./keeper.ts";

/** `{params?: {…proto JSON; what is absent has its default}, pending?: {…proto JSON, complete}, models?: […proto JSON]}`. */
export function initParams(keeper: ParamsKeeper, ctx: Context, state: unknown): void {
  const given = genesisObject(state, "params", ["params", "pending", "models"]);
  const overrides = fromGenesisJson(params.Params, given.params ?? {}, "params.params");
  const stated = new Set(Object.keys(given.params ?? {}).map(camelCase));
  const value = { ...DEFAULT_PARAMS, ...pick(overrides, stated) };
  asGenesis(() => keeper.set(ctx, value));
  if (given.pending !== undefined) {
    const pending = fromGenesisJson(params.Params, given.pending, "params.pending");
    asGenesis(() => keeper.schedule(ctx, pending));
  }
  genesisList(given.models, "params.models").forEach((json, i) => {
    const model = fromGenesisJson(params.Model, json, `params.models[${i}]`);
    if (keeper.model(ctx, model.id) !== undefined) throw invalidGenesis(`params.models: ${model.id} appears twice`);
    asGenesis(() => keeper.setModel(ctx, model));
  });
}

export function exportParams(keeper: ParamsKeeper, ctx: Context): unknown {
  const value = keeper.get(ctx);
  const pending = keeper.pending(ctx);
  return {
    params: { ...ZEROS, ...(params.Params.toJSON(value) as object) },
    ...(pending && { pending: params.Params.toJSON(pending) }),
    models: keeper.models(ctx).map((model) => params.Model.toJSON(model)),
  };
}

/** Proto JSON leaves zeros out, which an import would read as the default. */
const ZEROS = Object.fromEntries(
  Object.entries(params.Params.create()).map(([name, zero]) => [name, typeof zero === "bigint" ? "0" : 0]),
);

function pick<T extends object>(value: T, names: ReadonlySet<string>): Partial<T> {
  return Object.fromEntries(Object.entries(value).filter(([name]) => names.has(name))) as Partial<T>;
}

function camelCase(name: string): string {
  return name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

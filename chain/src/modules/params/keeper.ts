import type { params } from "@karat/proto";
import { ChainError } from "../../app/errors.ts";
import type { Context } from "../../app/module.ts";
import { PARAMS_ERRORS } from "./errors.ts";
import { models, paramsItem, pendingItem, STORE } from "./keys.ts";
import { validateModel, validateParams } from "./transition.ts";

/** Most models that a chain lists: pages and loops over them stay small. */
export const MAX_MODELS = 256;

export interface ParamsKeeper {
  /** Throws where genesis has not run. */
  get(ctx: Context): params.Params;
  model(ctx: Context, id: string): params.Model | undefined;
  /** In order of their ids. */
  models(ctx: Context): params.Model[];
  /** Replaces all parameters. Throws `invalid params`. */
  set(ctx: Context, value: params.Params): void;
  /** What the next epoch begins with, where that differs. */
  pending(ctx: Context): params.Params | undefined;
  /** Replaces all parameters at the next epoch switch. Throws `invalid params`. */
  schedule(ctx: Context, value: params.Params): void;
  /** At an epoch switch: what is scheduled comes into force. */
  applyPending(ctx: Context): void;
  /** Lists a model or replaces its description. Throws `invalid model`. */
  setModel(ctx: Context, model: params.Model): void;
}

export function createParamsKeeper(): ParamsKeeper {
  const keeper: ParamsKeeper = {
    get(ctx) {
      const value = paramsItem.get(ctx.store(STORE));
      if (value === undefined) throw new Error("parameters are read before genesis has set them");
      return value;
    },

    model: (ctx, id) => models.get(ctx.store(STORE), id),

    models: (ctx) => Array.from(models.entries(ctx.store(STORE), { limit: MAX_MODELS }), ([, model]) => model),

    set(ctx, value) {
      validateParams(value);
      paramsItem.set(ctx.store(STORE), value);
    },

    pending: (ctx) => pendingItem.get(ctx.store(STORE)),

    schedule(ctx, value) {
      validateParams(value);
      pendingItem.set(ctx.store(STORE), value);
    },

    applyPending(ctx) {
      const value = keeper.pending(ctx);
      if (value === undefined) return;
      paramsItem.set(ctx.store(STORE), value);
      pendingItem.delete(ctx.store(STORE));
      ctx.emit("params_changed", {});
    },

    setModel(ctx, model) {
      validateModel(model);
      if (keeper.model(ctx, model.id) === undefined && keeper.models(ctx).length >= MAX_MODELS) {
        throw new ChainError(PARAMS_ERRORS.invalidModel, `more than ${MAX_MODELS} models`);
      }
      models.set(ctx.store(STORE), model.id, model);
    },
  };
  return keeper;
}

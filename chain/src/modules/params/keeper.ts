import type { params } from "@karat/proto";
import { ChainError } from "../../app/errors.ts";
import type { Context } from "../../app/module.ts";
import { PARAMS_ERRORS } from "./errors.ts";
import { models, modelsByNumber, paramsItem, pendingItem, STORE } from "./keys.ts";
import { validateModel, validateParams } from "./transition.ts";

/** Most models that a chain lists: pages and loops over them stay small. */
export const MAX_MODELS = 256;

export interface ParamsKeeper {
  /** Throws where genesis has not run. */
  get(ctx: Context): params.Params;
  model(ctx: Context, id: string): params.Model | undefined;
  modelByNumber(ctx: Context, number: number): params.Model | undefined;
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

    modelByNumber(ctx, number) {
      const id = modelsByNumber.get(ctx.store(STORE), BigInt(number));
      return id === undefined ? undefined : keeper.model(ctx, id);
    },

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
      const store = ctx.store(STORE);
      const listed = keeper.models(ctx).length;
      const known = keeper.model(ctx, model.id)?.number;
      if (known === undefined && listed >= MAX_MODELS) {
        throw new ChainError(PARAMS_ERRORS.invalidModel, `more than ${MAX_MODELS} models`);
      }
      // Models are never taken off the list. A genesis may give them numbers; at most as many are taken as there are models.
      const taken = (at: number): boolean => modelsByNumber.has(store, BigInt(at));
      let number = known ?? model.number;
      if (known === undefined && (number === 0 || taken(number))) {
        number = 1;
        while (taken(number)) number++;
      }
      models.set(store, model.id, { ...model, number });
      modelsByNumber.set(store, BigInt(number), model.id);
    },
  };
  return keeper;
}

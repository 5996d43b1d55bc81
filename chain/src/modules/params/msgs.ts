import { params } from "@karat/proto";
import { ChainError } from "../../app/errors.ts";
import type { MessageHandler } from "../../app/module.ts";
import { requireGovernance } from "../support/authority.ts";
import { defineMessage } from "../support/message.ts";
import { PARAMS_ERRORS } from "./errors.ts";
import type { ParamsKeeper } from "./keeper.ts";
import { validateModel, validateParams } from "./transition.ts";

export const MSG_UPDATE_PARAMS = "/karat.params.v1.MsgUpdateParams";
export const MSG_SET_MODEL = "/karat.params.v1.MsgSetModel";

/** What only a passed proposal does. */
export function paramsMessages(keeper: ParamsKeeper): Readonly<Record<string, MessageHandler>> {
  return {
    [MSG_UPDATE_PARAMS]: defineMessage<params.MsgUpdateParams>({
      codec: params.MsgUpdateParams,
      response: {
        typeUrl: `${MSG_UPDATE_PARAMS}Response`,
        encode: (message) => params.MsgUpdateParamsResponse.encode(message),
      },
      signers: ({ authority }) => [authority],

      checkStateless({ authority, params: value }) {
        requireGovernance(authority);
        if (value === undefined) throw new ChainError(PARAMS_ERRORS.invalidParams, "all parameters must be given");
        validateParams(value);
      },

      /** An epoch is run by one set of parameters: the next one begins with these. */
      execute(ctx, { params: value }) {
        keeper.schedule(ctx, value!);
        ctx.emit("params_scheduled", {});
        return {};
      },
    }),

    [MSG_SET_MODEL]: defineMessage<params.MsgSetModel>({
      codec: params.MsgSetModel,
      response: {
        typeUrl: `${MSG_SET_MODEL}Response`,
        encode: (message) => params.MsgSetModelResponse.encode(message),
      },
      signers: ({ authority }) => [authority],

      checkStateless({ authority, model }) {
        requireGovernance(authority);
        if (model === undefined) throw new ChainError(PARAMS_ERRORS.invalidModel, "the model is missing");
        validateModel(model);
      },

      execute(ctx, { model }) {
        keeper.setModel(ctx, model!);
        ctx.emit("model_set", { model: model!.id });
        return {};
      },
    }),
  };
}

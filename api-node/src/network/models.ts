import { KaratError } from "@karat/common";
import { modelList, modelObject } from "@karat/common/openai";
import { type Request, type Response, Router } from "express";
import { activeOffers } from "../chain/candidates.ts";
import type { ChainView } from "../chain/view.ts";
import type { ModelAliases } from "../transferAgent/clientRequest.ts";

/** `/v1/models`: what somebody offers now, under its own id and the operator's aliases of it. */
export function modelRoutes(view: ChainView, created: number, aliases: ModelAliases = new Map()): Router {
  const router = Router();
  const served = (): string[] => {
    const offered = [...activeOffers(view).keys()].filter((id) => view.models().some((m) => m.id === id));
    const named = [...aliases].filter(([, model]) => offered.includes(model)).map(([alias]) => alias);
    return [...new Set([...offered, ...named])].sort();
  };
  router.get("/v1/models", (_request: Request, response: Response) => {
    response.json(modelList(served().map((id) => modelObject(id, created))));
  });
  // Model names may hold slashes.
  router.get("/v1/models/*id", (request: Request, response: Response) => {
    const id = ([] as string[]).concat(request.params.id ?? []).join("/");
    if (!served().includes(id)) {
      throw new KaratError("model_not_found", `The model ${id} does not exist or nobody offers it now.`, {
        param: "model",
      });
    }
    response.json(modelObject(id, created));
  });
  return router;
}

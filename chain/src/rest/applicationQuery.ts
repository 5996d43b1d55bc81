import { RequestQuery } from "cosmjs-types/tendermint/abci/types";
import type { Application } from "../engine/abci.ts";
import type { QueryApplication } from "./route.ts";
import { restError } from "./status.ts";

/** Asks the application in this process; while an engine restarts there is none for a moment (`rest/unavailable`). */
export const applicationQuery =
  (current: () => Pick<Application, "query"> | undefined): QueryApplication =>
  async (path, data, height) => {
    const application = current();
    if (application === undefined) throw restError("rest/unavailable", "the node is starting");
    return application.query(RequestQuery.fromPartial({ path, data, height }));
  };

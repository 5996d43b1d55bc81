export { createRest, DEFAULT_LIMITS, type RestLimits } from "./app.ts";
export { applicationQuery } from "./applicationQuery.ts";
export { withEngineQueries } from "./engineQueries.ts";
export { httpNodeRpc, type NodeRpc, type NodeRpcOptions } from "./nodeRpc.ts";
export type { QueryAnswer, QueryApplication, RestSources } from "./route.ts";
export { type RestOptions, type RestServer, startRest } from "./server.ts";

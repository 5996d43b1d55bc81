import { messageOf } from "@karat/common";
import express, { type ErrorRequestHandler, type Express, type RequestHandler, type Response } from "express";
import { Input } from "./input.ts";
import type { RestSources, Route } from "./route.ts";
import { distributionRoutes, mintRoutes } from "./routes/absent.ts";
import { authRoutes, bankRoutes } from "./routes/accounts.ts";
import { govRoutes } from "./routes/gov.ts";
import { karatRoutes } from "./routes/karat.ts";
import { nodeRoutes } from "./routes/node.ts";
import { slashingRoutes } from "./routes/slashing.ts";
import { stakingRoutes } from "./routes/staking.ts";
import { txRoutes } from "./routes/txs.ts";
import { errorReply, invalidArgument, restError } from "./status.ts";

export interface RestLimits {
  /** Bytes of a request's body; the RPC behind takes no more. */
  readonly bodyBytes: number;
  /** Requests in progress; further ones are turned away. */
  readonly inFlight: number;
}

export const DEFAULT_LIMITS: RestLimits = { bodyBytes: 1024 * 1024, inFlight: 256 };

export const ROUTES: readonly Route[] = [
  ...nodeRoutes,
  ...authRoutes,
  ...bankRoutes,
  ...txRoutes,
  ...stakingRoutes,
  ...distributionRoutes,
  ...slashingRoutes,
  ...govRoutes,
  ...mintRoutes,
  ...karatRoutes,
];

/**
 * The REST paths that wallets and explorers of Cosmos chains use, and `/karat/…`: each an ABCI query or a call of CometBFT's
 * RPC. Whatever else is asked for is answered 501 with the body of a gRPC-gateway, by which wallets find out what there is.
 */
export function createRest(sources: RestSources, limits: Partial<RestLimits> = {}): Express {
  const { bodyBytes, inFlight } = { ...DEFAULT_LIMITS, ...limits };
  const app = express();
  app.disable("x-powered-by");
  app.disable("etag");
  app.set("query parser", false);
  app.use(cors, admission(inFlight));
  const readJson = express.json({ limit: bodyBytes, type: () => true, inflate: false });
  for (const route of ROUTES) {
    if (route.method === "get") app.get(route.pattern, handler(route, sources));
    else app.post(route.pattern, readJson, handler(route, sources));
  }
  app.use(() => {
    throw restError("rest/unimplemented", "Not Implemented");
  });
  app.use(onError(sources));
  return app;
}

const HEIGHT_HEADER = "x-cosmos-block-height";

/** Pages of any origin may ask: nothing here depends on who does. */
const cors: RequestHandler = (request, response, next) => {
  response.set({
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "GET, HEAD, POST, OPTIONS",
    "access-control-allow-headers": `content-type, accept, ${HEIGHT_HEADER}`,
    "access-control-expose-headers": `${HEIGHT_HEADER}, grpc-metadata-${HEIGHT_HEADER}`,
    "access-control-max-age": "86400",
  });
  if (request.method === "OPTIONS") response.status(204).end();
  else next();
};

function admission(most: number): RequestHandler {
  let inFlight = 0;
  return (_, response, next) => {
    if (inFlight >= most) throw restError("rest/busy", "too many requests at once", { most });
    inFlight++;
    response.once("close", () => inFlight--);
    next();
  };
}

const handler =
  (route: Route, sources: RestSources): RequestHandler =>
  async (request, response) => {
    const { body, height } = await route.answer(sources, new Input(request), request.body);
    if (height !== undefined) setHeight(response, height);
    response.json(body);
  };

/** By both names: gateways prefix it, and some proxies of theirs take the prefix off. */
function setHeight(response: Response, height: bigint): void {
  response.set({ [HEIGHT_HEADER]: height.toString(), [`grpc-metadata-${HEIGHT_HEADER}`]: height.toString() });
}

const onError =
  ({ log }: RestSources): ErrorRequestHandler =>
  (thrown: unknown, request, response, _next) => {
    const error = ofExpress(thrown);
    const { http, body } = errorReply(error);
    if (http === 500) log.warn({ path: request.path, error: messageOf(error) }, "a REST request failed");
    if (http === 429) response.set("retry-after", "1");
    response.status(http).json(body);
  };

/** Express's own refusals (a body too large, no JSON, a malformed path) have a status. */
function ofExpress(error: unknown): unknown {
  const status = error instanceof Error && "status" in error ? error.status : undefined;
  if (status === 413) return restError("rest/too-large", "the body is too large");
  return typeof status === "number" && status < 500 ? invalidArgument(messageOf(error)) : error;
}

import { KaratError, type Logger, messageOf } from "@karat/common";
import express, { type ErrorRequestHandler, type Express, type Router } from "express";
import { errorReply } from "../errors.ts";

/** An Express application of routers, with errors as OpenAI error objects and a 404 of the same kind. */
export function createApp(routers: readonly Router[], log: Logger): Express {
  const app = express();
  app.disable("x-powered-by").disable("etag");
  app.set("json replacer", bigintAsString);
  app.use(...routers);
  app.use((request) => {
    throw new KaratError("not_found", `There is nothing at ${request.method} ${request.path}.`);
  });
  const render: ErrorRequestHandler = (error, _request, response, next) => {
    if (response.headersSent) return next(error);
    const { status, headers, body } = errorReply(fromExpress(error));
    if (status === 500) log.error({ error: messageOf(error) }, "A request met an unexpected error.");
    response.status(status).set(headers).json(body);
  };
  app.use(render);
  return app;
}

/** Heights and amounts are decimal strings in JSON. */
const bigintAsString = (_key: string, value: unknown): unknown =>
  typeof value === "bigint" ? value.toString() : value;

function fromExpress(error: unknown): unknown {
  // A path whose percent signs encode nothing.
  if (error instanceof URIError) return new KaratError("not_found", "The path is not properly encoded.");
  if (!(error instanceof Error) || !("type" in error)) return error;
  if (error.type === "entity.too.large") return new KaratError("payload_too_large", "The body is too large.");
  return error.type === "entity.parse.failed" ? new KaratError("invalid_json", "The body is not valid JSON.") : error;
}

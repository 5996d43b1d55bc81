/** The HTTP surface of an ML node. */
import { randomUUID, timingSafeEqual } from "node:crypto";
import { KaratError, toHex } from "@karat/common";
import { modelList, modelObject, openAiError } from "@karat/common/openai";
import express, {
  type ErrorRequestHandler,
  type Express,
  type Request,
  type RequestHandler,
  type Response,
} from "express";
import { promptHash } from "../service/artifact.ts";
import { renderTexts } from "../service/embedding.ts";
import { isEmbedding, readPrompt, readTexts, record } from "../service/requests.ts";
import { bodyOf, type NodeContext, requireModel } from "./context.ts";
import { embeddings } from "./embeddings.ts";
import { generate } from "./generate.ts";
import { chatCompletions, completions } from "./openai.ts";
import { prefill, score } from "./score.ts";

const BODY_LIMIT = "4mb";

type Route = (context: NodeContext, request: Request, response: Response) => Promise<void> | void;

const ROUTES: readonly ["get" | "post", string, Route][] = [
  ["get", "/metrics", metrics],
  ["get", "/karat/v1/models", karatModels],
  ["post", "/karat/v1/tokenize", tokenize],
  ["post", "/karat/v1/generate", generate],
  ["post", "/karat/v1/score", score],
  ["post", "/karat/v1/score/prefill", prefill],
  ["get", "/v1/models", listModels],
  ["get", "/v1/models/:id", getModel],
  ["post", "/v1/chat/completions", chatCompletions],
  ["post", "/v1/completions", completions],
  ["post", "/v1/embeddings", embeddings],
];

/** With a token, every route but /healthz wants `Authorization: Bearer <token>`. */
export function createApp(context: NodeContext, token?: string): Express {
  const app = express();
  app.disable("x-powered-by").disable("etag");
  app.use(requestId);
  app.get("/healthz", (_request, response) => healthz(context, response));
  if (token !== undefined) app.use(requireToken(token));
  app.use(express.json({ limit: BODY_LIMIT, type: () => true }));
  for (const [method, path, route] of ROUTES) {
    app[method](path, async (request, response) => {
      response.on("close", () => context.metrics.requests.inc({ route: path, status: response.statusCode }));
      await route(context, request, response);
    });
    app.all(path, (request) => {
      throw new KaratError("method_not_allowed", `${request.method} is not allowed here.`);
    });
  }
  app.use((request) => {
    throw new KaratError("not_found", `There is nothing at ${request.path}.`);
  });
  app.use(renderError(context));
  return app;
}

function healthz(context: NodeContext, response: Response): void {
  const engine = context.engine.state();
  const draining = context.shutdown.aborted;
  const ok = engine === "ready" && !draining;
  response.status(ok ? 200 : 503).json({ status: ok ? "ok" : "unavailable", engine, ...context.engine.load() });
}

async function metrics(context: NodeContext, _request: Request, response: Response): Promise<void> {
  response.type(context.metrics.contentType).send(await context.metrics.render());
}

function karatModels(context: NodeContext, _request: Request, response: Response): void {
  const info = context.engine.info();
  response.json({
    models: [
      {
        id: info.id,
        weights_sha256: info.weightsSha256,
        quantization: info.quantization,
        context_length: info.contextLength,
        vocabulary_size: info.vocabularySize,
        engine: info.engine,
        build: info.build,
        capacity: info.capacity,
        // An API node that ends a cancelled answer itself codes its artifact the same way.
        artifact: { step: context.artifact.step, k: context.artifact.k },
        ...(info.embeddingDimensions === undefined ? {} : { embedding: { dimensions: info.embeddingDimensions } }),
      },
    ],
  });
}

async function tokenize(context: NodeContext, request: Request, response: Response): Promise<void> {
  const fields = record(bodyOf(request));
  const inputs = isEmbedding(fields)
    ? await renderTexts(context.engine, readTexts(fields))
    : [await context.engine.render(readPrompt(fields))];
  const ids = inputs.flat();
  response.json({
    prompt_token_ids: ids,
    count: ids.length,
    prompt_hash: toHex(promptHash(ids)),
    ...(isEmbedding(fields) && { counts: inputs.map(({ length }) => length) }),
  });
}

function listModels(context: NodeContext, _request: Request, response: Response): void {
  response.json(modelList([modelObject(context.engine.info().id, context.startedAt)]));
}

function getModel(context: NodeContext, request: Request, response: Response): void {
  const id = String(request.params.id);
  requireModel(context, id);
  response.json(modelObject(id, context.startedAt));
}

const requestId: RequestHandler = (request, response, next) => {
  const given = request.get("x-request-id");
  response.set("x-request-id", given && /^[\w.:-]{1,128}$/.test(given) ? given : randomUUID());
  next();
};

function requireToken(token: string): RequestHandler {
  const expected = Buffer.from(`Bearer ${token}`);
  return (request, _response, next) => {
    const given = Buffer.from(request.get("authorization") ?? "");
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
      throw new KaratError("invalid_api_key", "A valid bearer token is needed.");
    }
    next();
  };
}

const renderError = (context: NodeContext): ErrorRequestHandler => {
  return (thrown: unknown, _request, response, next) => {
    if (response.headersSent) return next(thrown);
    const error = fromBodyParser(thrown);
    const { status, headers, body } = openAiError(error);
    if (status >= 500) context.logger.error({ error: String(thrown) }, "a request failed");
    response.status(status).set(headers).json(body);
  };
};

/** express.json reports what it refuses as errors with a `type`. */
function fromBodyParser(error: unknown): unknown {
  if (!(error instanceof Error) || !("type" in error)) return error;
  if (error.type === "entity.too.large") return new KaratError("payload_too_large", "The body is larger than 4 MB.");
  if (error.type === "entity.parse.failed") return new KaratError("invalid_json", "The body is not valid JSON.");
  return "status" in error && typeof error.status === "number" && error.status < 500
    ? new KaratError("invalid_request", "The body cannot be read.")
    : error;
}

import { timingSafeEqual } from "node:crypto";
import { KaratError, toHex } from "@karat/common";
import type { Metrics } from "@karat/common/http";
import express, { type RequestHandler, Router } from "express";
import { z } from "zod";
import type { MlPool } from "../executor/mlPool.ts";
import type { PayloadFetcher } from "../payloads/fetcher.ts";
import type { JobQueue } from "../records/jobQueue.ts";
import type { DeadLetter, Outbox } from "../records/outbox.ts";

export interface AdminModules {
  readonly ml: MlPool;
  /** Called after the list of ML nodes has changed, to keep it. */
  readonly onMlChanged: () => Promise<void>;
  readonly outbox: Outbox;
  /** Of the chain. */
  readonly height: () => bigint;
  readonly queue: JobQueue;
  readonly payloads: PayloadFetcher;
  readonly metrics: Metrics;
  /** Bearer token; without one everybody who reaches the port is an administrator. */
  readonly token: string | undefined;
}

const urlBody = z.object({ url: z.string(), token: z.string().optional() });
const keyBody = z.object({ key: z.string() });
const payloadParams = z.object({ hash: z.string().regex(/^[0-9a-f]{64}$/) });
const payloadQuery = z.object({
  from: z
    .string()
    .max(500)
    .default("")
    .transform((list) => list.split(",").filter((operator) => operator !== "")),
});
const DEAD_LETTERS_SHOWN = 200;

/** For the operator: ML nodes, records on their way, metrics. */
export function adminRoutes(modules: AdminModules): Router {
  const { ml, outbox, height, queue, payloads, metrics, onMlChanged, token } = modules;
  const router = Router();
  if (token !== undefined) router.use(requireToken(token));
  router.use(express.json({ limit: "64kb", type: () => true }));

  router.get("/metrics", async (_request, response) => {
    response.type(metrics.contentType).send(await metrics.render());
  });

  router.get("/admin/v1/ml-nodes", (_request, response) => {
    response.json({ nodes: ml.states() });
  });
  router.post("/admin/v1/ml-nodes", async (request, response) => {
    const { url, token: mlToken } = parse(urlBody, request.body);
    await ml.add({ url, ...(mlToken === undefined ? {} : { token: mlToken }) });
    await onMlChanged();
    response.status(201).json({ nodes: ml.states() });
  });
  router.delete("/admin/v1/ml-nodes", async (request, response) => {
    await ml.remove(parse(urlBody, request.body).url);
    await onMlChanged();
    response.json({ nodes: ml.states() });
  });
  // A disabled node gets no new work and finishes what it has: draining is disabling and waiting for running = 0.
  for (const [action, enabled] of [
    ["enable", true],
    ["disable", false],
    ["drain", false],
  ] as const) {
    router.post(`/admin/v1/ml-nodes/${action}`, async (request, response) => {
      ml.setEnabled(parse(urlBody, request.body).url, enabled);
      await onMlChanged();
      response.json({ nodes: ml.states() });
    });
  }

  router.get("/admin/v1/records", async (_request, response) => {
    const jobs = await queue.counts().catch(() => null); // null: the queue does not answer
    response.json({ outbox: outbox.size, dead: outbox.deadCount, jobs });
  });
  router.get("/admin/v1/dead-letters", (_request, response) => {
    response.json({ dead_letters: outbox.deadLetters(DEAD_LETTERS_SHOWN).map(shown) });
  });
  router.post("/admin/v1/dead-letters/retry", async (request, response) => {
    const { key } = parse(keyBody, request.body);
    await outbox.revive(key, height());
    response.json({ outbox: outbox.size });
  });
  // For the participant's sidecar: its own payloads and, by signed requests, those of the operators in `from`.
  router.get("/admin/v1/payloads/:hash", async (request, response) => {
    const { hash } = parse(payloadParams, request.params);
    const { from } = parse(payloadQuery, request.query);
    const bytes = await payloads.fetch(hash, from);
    if (!bytes) throw new KaratError("not_found", "Nobody who was asked has this payload.");
    response.type("application/octet-stream").send(Buffer.from(bytes));
  });
  return router;
}

const shown = ({ key, kind, inferenceId, reason, height, deadlineHeight, unknownTries, refusedTries }: DeadLetter) => ({
  key,
  kind,
  inference_id: toHex(inferenceId),
  reason,
  height,
  deadline_height: deadlineHeight,
  tries: unknownTries + refusedTries,
});

function requireToken(token: string): RequestHandler {
  const expected = Buffer.from(`Bearer ${token}`);
  return (request, _response, next) => {
    const given = Buffer.from(request.get("authorization") ?? "");
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
      throw new KaratError("invalid_api_key", "The administrator's token is needed.");
    }
    next();
  };
}

function parse<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const param = result.error.issues[0]?.path.join(".") || "body";
  throw new KaratError("invalid_request", `${param}: not as expected`, { param });
}

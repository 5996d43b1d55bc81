import type { ServerResponse } from "node:http";
import type { Logger } from "@karat/common";
import { KaratError } from "@karat/common";
import type { ArtifactCoding, Profile } from "@karat/rules";
import type { Request, Response } from "express";
import type { InferenceEngine } from "../engine/engine.ts";
import type { NodeMetrics } from "../metrics.ts";
import type { Prefills } from "../service/prefills.ts";

/** What the routes share. */
export interface NodeContext {
  engine: InferenceEngine;
  /** Honest scores of the declared model; without one, scoring abstains. */
  profile: Profile | undefined;
  /** Of the models that the profile names, where tokens are not bound to the seed. */
  substitutes: readonly InferenceEngine[];
  artifact: ArtifactCoding;
  prefills: Prefills;
  metrics: NodeMetrics;
  logger: Logger;
  /** Unix seconds at which the node started. */
  startedAt: number;
  /** Fires when a drain has waited long enough. */
  shutdown: AbortSignal;
}

/** Throws `model_not_found` unless the request names the model of this node. */
export function requireModel(context: NodeContext, model: string): void {
  if (model === context.engine.info().id) return;
  throw new KaratError("model_not_found", `The model '${model}' does not exist.`, { param: "model" });
}

/** Fires when the client has closed the connection or the node is shutting down. */
export function requestSignal(context: NodeContext, response: Response): AbortSignal {
  const closed = new AbortController();
  response.on("close", () => {
    if (!response.writableFinished) closed.abort();
  });
  return AbortSignal.any([closed.signal, context.shutdown]);
}

/** Writes a piece of a stream and waits while the reader is slow. */
export async function write(response: ServerResponse, piece: string): Promise<void> {
  if (response.destroyed || response.write(piece)) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      response.off("drain", done);
      response.off("close", done);
      resolve();
    };
    response.on("drain", done);
    response.on("close", done);
  });
}

/** The body that `express.json` has read. */
export const bodyOf = (request: Request): unknown => request.body;

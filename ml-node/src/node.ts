/** Composition root: engine, profile, metrics and HTTP server of one ML node. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { KaratError, type Logger } from "@karat/common";
import { withAttack } from "./attack/attack.ts";
import type { Config } from "./config.ts";
import type { InferenceEngine } from "./engine/engine.ts";
import { createLlamaEngine } from "./engine/llama/llamaEngine.ts";
import { createOpenAiEngine } from "./engine/openai/openaiEngine.ts";
import { createApp } from "./http/app.ts";
import { createNodeMetrics } from "./metrics.ts";
import { codingOf } from "./service/artifact.ts";
import { Prefills } from "./service/prefills.ts";
import { loadProfile } from "./service/profile.ts";
import { openSubstitutes } from "./service/substitutes.ts";

export interface MlNode {
  readonly port: number;
  readonly engine: InferenceEngine;
  /** Process id of the engine's child. */
  readonly enginePid: number | undefined;
  /** Refuses new requests, waits for running ones up to `drainMs`, ends the rest with `cancelled`, stops the engine. */
  close(): Promise<void>;
}

export async function startMlNode(config: Config, logger: Logger): Promise<MlNode> {
  const shutdown = new AbortController();
  const profile = config.profilePath === undefined ? undefined : await loadProfile(config.profilePath);
  if (config.server?.serverSamples && profile?.unseeded === undefined) {
    throw new KaratError("invalid_config", "--server-samples needs a profile whose tokens are not bound to the seed", {
      option: "profile",
    });
  }
  const honest = await createEngine(config, logger);
  let engine: InferenceEngine = honest;
  let substitutes: readonly InferenceEngine[] = [];
  const closeEngines = () => Promise.all([engine, ...substitutes].map((each) => each.close()));
  try {
    if (config.attack) engine = await withAttack(honest, config, logger);
    warnAboutProfile(profile?.weightsSha256, honest, logger);
    const { vocabularySize } = honest.info();
    substitutes = await openSubstitutes(profile, vocabularySize, config.substitutesPath, (modelPath, id) =>
      createLlamaEngine({ ...config, modelPath, id, logger: logger.child({ component: "substitute", model: id }) }),
    );
    const context = {
      engine,
      substitutes,
      profile,
      artifact: codingOf(profile),
      prefills: new Prefills(),
      metrics: createNodeMetrics(engine),
      logger,
      startedAt: Math.floor(Date.now() / 1000),
      shutdown: shutdown.signal,
    };
    let closing: Promise<void> | undefined;
    const server = createServer(createApp(context, config.token));
    // A kept-alive connection would hold up a drain for seconds after its answer.
    server.on("request", (_request, response) => {
      response.on("close", () => setImmediate(() => closing && server.closeIdleConnections()));
    });
    server.listen(config.port, config.host);
    await once(server, "listening");
    return {
      port: (server.address() as AddressInfo).port,
      engine,
      get enginePid() {
        return "pid" in honest ? honest.pid : undefined;
      },
      close: () => {
        closing ??= drain();
        return closing;
      },
    };

    async function drain(): Promise<void> {
      const closed = once(server, "close");
      server.close();
      server.closeIdleConnections();
      const timer = setTimeout(
        () => shutdown.abort(new KaratError("shutting_down", "The node is shutting down.", { retry_after_s: 5 })),
        config.drainMs,
      );
      await closed;
      clearTimeout(timer);
      await closeEngines();
    }
  } catch (error) {
    await closeEngines();
    throw error;
  }
}

async function createEngine(config: Config, logger: Logger) {
  const { server, name: id, contextSize, sequences, maxWaiting, modelPath } = config;
  if (server === undefined) {
    return createLlamaEngine({ ...config, id, logger: logger.child({ component: "engine" }) });
  }
  const engine = await createOpenAiEngine({ ...server, modelPath, id, contextSize, sequences, maxWaiting });
  logger.info({ server: engine.server, ...engine.capabilities, build: engine.info().build }, "inference server");
  return engine;
}

function warnAboutProfile(profileHash: string | undefined, engine: InferenceEngine, logger: Logger): void {
  const { weightsSha256, id } = engine.info();
  if (profileHash === undefined) logger.warn({ model: id }, "no calibration profile: every score will abstain");
  else if (profileHash !== weightsSha256) {
    logger.warn(
      { model: id, profile: profileHash, weights: weightsSha256 },
      "the calibration profile is for other weights",
    );
  }
}

import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import express from "express";
import { Counter, Gauge, Registry } from "prom-client";

export interface SidecarState {
  readonly operator: string;
  readonly height: bigint;
  readonly duties: readonly string[];
}

export interface SidecarMetrics {
  readonly registry: Registry;
  readonly verdicts: Counter<"verdict">;
  readonly claimed: Counter;
  readonly height: Gauge;
}

export function createMetrics(): SidecarMetrics {
  const registry = new Registry();
  const registers = [registry];
  return {
    registry,
    verdicts: new Counter({
      name: "karat_sidecar_verdicts_total",
      help: "Verdicts by kind",
      labelNames: ["verdict"],
      registers,
    }),
    claimed: new Counter({ name: "karat_sidecar_claimed_ukarat_total", help: "Rewards claimed, in ukarat", registers }),
    height: new Gauge({ name: "karat_sidecar_height", help: "Last block height dealt with", registers }),
  };
}

/** Health, metrics and current duties, on loopback unless told otherwise. */
export async function serve(
  listen: { host: string; port: number },
  metrics: SidecarMetrics,
  state: () => SidecarState,
): Promise<{ server: Server; port: number }> {
  const app = express();
  app.disable("x-powered-by");
  app.get("/healthz", (_req, res) => {
    const { height, operator } = state();
    res.json({ status: "ok", operator, height: String(height) });
  });
  app.get("/karat/v1/duties", (_req, res) => {
    const { duties, operator } = state();
    res.json({ operator, duties });
  });
  app.get("/metrics", async (_req, res) => {
    res.type(metrics.registry.contentType).send(await metrics.registry.metrics());
  });
  const server = createServer(app);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(listen.port, listen.host, resolve);
  });
  return { server, port: (server.address() as AddressInfo).port };
}

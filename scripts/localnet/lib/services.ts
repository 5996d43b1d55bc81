/** How each process of a network is started and when it is ready. */
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { createConnection } from "node:net";
import { join } from "node:path";
import { ChainClient } from "@karat/client";
import {
  chainHome,
  keyFile,
  logFile,
  modelFile,
  type NetworkPlan,
  type ParticipantPlan,
  profileFile,
  ROOT,
  rpcOf,
  url,
} from "./layout.ts";
import type { ProcessSpec } from "./processes.ts";
import { answers } from "./readiness.ts";

export interface Service {
  readonly spec: ProcessSpec;
  readonly ready: () => Promise<boolean>;
}

/** A way of cheating that an ML node is started with, for the demo: `swap=<model>` or `launder=<model>`. */
export type Attack = { readonly kind: "swap" | "launder"; readonly model: string };

const script = (path: string, ...args: string[]): { command: string; args: string[]; cwd: string } => ({
  command: process.execPath,
  args: ["--disable-warning=ExperimentalWarning", join(ROOT, path), ...args],
  cwd: ROOT,
});

/** The Redis that queues use: one given by KARAT_REDIS_URL, one of our own, or none at all. */
export function redisOf(plan: NetworkPlan): { url: string; own: boolean } | undefined {
  const given = process.env.KARAT_REDIS_URL;
  if (given) return { url: given, own: false };
  return redisBinary() ? { url: `redis://127.0.0.1:${plan.ports.redis}`, own: true } : undefined;
}

const redisBinary = (): string | undefined =>
  ["redis-server", "valkey-server"].find((name) => spawnSync(name, ["--version"], { stdio: "ignore" }).status === 0);

export function redisService(dir: string, plan: NetworkPlan): Service | undefined {
  const binary = redisBinary();
  if (!binary || !redisOf(plan)?.own) return undefined;
  const data = join(dir, "redis");
  mkdirSync(data, { recursive: true });
  const { redis: port } = plan.ports;
  const args = [
    "--port",
    String(port),
    "--bind",
    "127.0.0.1",
    "--dir",
    data,
    "--appendonly",
    "yes",
    "--appendfsync",
    "everysec",
  ];
  return {
    spec: {
      name: "redis",
      command: binary,
      args: [...args, "--maxmemory-policy", "noeviction", "--save", ""],
      log: logFile(dir, "redis"),
    },
    ready: () => connects(port),
  };
}

/** Blocks from one snapshot to the next: a node that joins finds one of the last minute. */
const SNAPSHOT_INTERVAL = "20";

/**
 * All chain nodes: with CometBFT each peers with the others, whose node ids `nodeIds` gives, and a home without blocks takes
 * the state from a snapshot where `syncFrom` names RPC servers.
 */
export function chainServices(
  dir: string,
  plan: NetworkPlan,
  nodeIds: readonly string[],
  syncFrom: readonly string[] = [],
): Service[] {
  const peers = plan.chains.map(({ index, ports }) => `${nodeIds[index]}@127.0.0.1:${ports.p2p}`);
  return plan.chains.map(({ index, ports }) => {
    const name = `chain-${index}`;
    const network = [
      "--p2p",
      `127.0.0.1:${ports.p2p}`,
      "--peers",
      peers.filter((_, i) => i !== index).join(","),
      "--moniker",
      name,
      "--snapshot-interval",
      SNAPSHOT_INTERVAL,
      ...(syncFrom.length === 0 ? [] : ["--state-sync", syncFrom.join(",")]),
    ];
    const args = [
      ...["start", "--home", chainHome(dir, index), "--engine", plan.engine, "--rpc", `127.0.0.1:${ports.rpc}`],
      ...[
        "--rest",
        `127.0.0.1:${ports.rest}`,
        "--block-time-ms",
        String(plan.blockTimeMs),
        ...(plan.engine === "cometbft" ? network : []),
      ],
    ];
    return {
      spec: { name, ...script("chain/src/main.ts", ...args), log: logFile(dir, name) },
      async ready() {
        const client = await ChainClient.connect(url(ports.rpc), { timeoutMs: 2_000 });
        const { height } = await client.status();
        client.close();
        return height >= 1n;
      },
    };
  });
}

export function mlService(dir: string, plan: NetworkPlan, participant: ParticipantPlan, attack?: Attack): Service {
  const { ml: port } = participant.ports;
  const args = ["--model", modelFile(plan.weights), "--name", plan.model, "--port", String(port)];
  const profile = ["--profile", profileFile(plan.weights)];
  const cheat = attack ? ["--attack", `${attack.kind}=${modelFile(attack.model)}`] : [];
  const name = `ml-${participant.index}`;
  return {
    spec: { name, ...script("ml-node/src/main.ts", ...args, ...profile, ...cheat), log: logFile(dir, name) },
    ready: () => answers(`${url(port)}/healthz`),
  };
}

export function apiService(dir: string, plan: NetworkPlan, participant: ParticipantPlan): Service {
  const { api, admin, ml } = participant.ports;
  const name = `api-${participant.index}`;
  const redis = redisOf(plan);
  const args = [
    ...[
      "--rpc",
      rpcOf(plan, participant.index),
      "--operator",
      participant.address,
      "--node-key",
      keyFile(dir, `node-${participant.index}`),
    ],
    ...["--ml", url(ml), "--redis", redis ? `${redis.url}/${participant.index}` : "none"],
    ...[
      "--data",
      join(dir, "participants", String(participant.index), "api"),
      "--port",
      String(api),
      "--admin-port",
      String(admin),
    ],
    ...["--public-url", url(api)],
  ];
  return {
    spec: { name, ...script("api-node/src/main.ts", ...args), log: logFile(dir, name) },
    ready: () => answers(`${url(api)}/readyz`),
  };
}

export function sidecarService(dir: string, plan: NetworkPlan, participant: ParticipantPlan): Service {
  const { admin, ml, sidecar } = participant.ports;
  const name = `sidecar-${participant.index}`;
  const args = [
    ...[
      "--rpc",
      rpcOf(plan, participant.index),
      "--ml",
      url(ml),
      "--api",
      url(admin),
      "--operator",
      participant.address,
    ],
    ...["--key", keyFile(dir, `validator-${participant.index}`), "--port", String(sidecar)],
    ...["--data", join(dir, "participants", String(participant.index), "sidecar")],
  ];
  return {
    spec: { name, ...script("sidecar/src/main.ts", ...args), log: logFile(dir, name) },
    ready: () => answers(`${url(sidecar)}/healthz`),
  };
}

const connects = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = createConnection(port, "127.0.0.1", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });

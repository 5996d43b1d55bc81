import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { encodeApiKey } from "@karat/client";
import { addressOfKey, fromHex, newPrivateKey, publicKeyOf, toHex } from "@karat/common";
import { UsageError } from "./options.ts";
import type { ProcessRef } from "./processes.ts";

export const ROOT = join(import.meta.dirname, "../../..");
export const modelFile = (name: string): string => join(ROOT, "models", `${name}.gguf`);
export const profileFile = (name: string): string => join(ROOT, "models/profiles", `${name}.json`);
/** The default model goes by a shorter name. */
const idOf = (weights: string): string => (weights === "karat-tiny-f16" ? "karat-tiny" : weights);

export interface ParticipantPlan {
  readonly index: number;
  /** Bech32 addresses. */
  readonly address: string;
  readonly nodeAddress: string;
  readonly validatorAddress: string;
  readonly ports: { readonly api: number; readonly admin: number; readonly ml: number; readonly sidecar: number };
}

export interface ChainPlan {
  readonly index: number;
  readonly ports: { readonly rpc: number; readonly p2p: number; readonly rest: number };
}

/** What `up` decided once and later commands read: `<dir>/network.json`. */
export interface NetworkPlan {
  readonly chainId: string;
  readonly engine: "solo" | "cometbft";
  readonly blockTimeMs: number;
  readonly portBase: number;
  readonly ports: { readonly redis: number };
  /** One chain node with the solo engine, one for each participant with CometBFT. */
  readonly chains: readonly ChainPlan[];
  /** CometBFT's names of the chain nodes. */
  readonly nodeIds?: readonly string[];
  readonly model: string;
  /** Its file in models/. */
  readonly weights: string;
  readonly client: string;
  readonly participants: readonly ParticipantPlan[];
}

export const chainHome = (dir: string, index: number): string => join(dir, "chain", String(index));
/** The chain node that a participant's processes talk to. */
export const rpcOf = (plan: NetworkPlan, index = 0): string => url((plan.chains[index] ?? plan.chains[0]!).ports.rpc);
export const url = (port: number): string => `http://127.0.0.1:${port}`;
export const planFile = (dir: string): string => join(dir, "network.json");
export const processFile = (dir: string): string => join(dir, "processes.json");
export const keyFile = (dir: string, name: string): string => join(dir, "keys", `${name}.key`);
export const logFile = (dir: string, name: string): string => join(dir, "logs", `${name}.log`);

export function readPlan(dir: string): NetworkPlan | undefined {
  return existsSync(planFile(dir)) ? (JSON.parse(readFileSync(planFile(dir), "utf8")) as NetworkPlan) : undefined;
}

export function readProcesses(dir: string): ProcessRef[] {
  return existsSync(processFile(dir)) ? (JSON.parse(readFileSync(processFile(dir), "utf8")) as ProcessRef[]) : [];
}

export function writeJson(path: string, value: unknown): void {
  writeFileSync(`${path}.new`, `${JSON.stringify(value, null, 2)}\n`);
  renameSync(`${path}.new`, path);
}

export const chainPlan = (portBase: number, index: number): ChainPlan => {
  const base = portBase + 100 * index;
  return { index, ports: { rpc: base + 57, p2p: base + 56, rest: base + 17 } };
};

/** Makes keys, addresses and ports of a new network. */
export function makePlan(
  dir: string,
  options: {
    participants: number;
    portBase: number;
    blockTimeMs: number;
    engine: "solo" | "cometbft";
    weights: string;
  },
): NetworkPlan {
  mkdirSync(join(dir, "keys"), { recursive: true, mode: 0o700 });
  const base = options.portBase;
  return {
    chainId: "karat-localnet-1",
    engine: options.engine,
    blockTimeMs: options.blockTimeMs,
    portBase: base,
    ports: { redis: base + 79 },
    chains: Array.from({ length: options.engine === "solo" ? 1 : options.participants }, (_, index) =>
      chainPlan(base, index),
    ),
    model: idOf(options.weights),
    weights: options.weights,
    client: newKey(dir, "client"),
    participants: Array.from({ length: options.participants }, (_, index) => {
      const first = base + 100 * (index + 1);
      return {
        index,
        address: newKey(dir, `operator-${index}`),
        nodeAddress: newKey(dir, `node-${index}`),
        validatorAddress: newKey(dir, `validator-${index}`),
        ports: { api: first + 80, admin: first + 81, sidecar: first + 85, ml: first + 90 },
      };
    }),
  };
}

/** Writes a new private key and gives its address. */
function newKey(dir: string, name: string): string {
  const key = newPrivateKey();
  writeFileSync(keyFile(dir, name), `${toHex(key)}\n`, { mode: 0o600 });
  return addressOfKey(publicKeyOf(key));
}

export const readKey = (dir: string, name: string): Uint8Array =>
  fromHex(readFileSync(keyFile(dir, name), "utf8").trim());
export const apiKeyOf = (dir: string): string => encodeApiKey(readKey(dir, "client"));

/** Throws UsageError when a port of the plan is taken. */
export async function requireFreePorts(plan: NetworkPlan): Promise<void> {
  const ports = [plan.ports, ...plan.chains.map((c) => c.ports), ...plan.participants.map((p) => p.ports)].flatMap(
    (set) => Object.values(set),
  );
  await requireFree(ports, plan.portBase);
}

/** Throws UsageError when one of the ports is taken. */
export async function requireFree(ports: readonly number[], portBase: number): Promise<void> {
  for (const port of ports) {
    if (!(await isFree(port))) {
      throw new UsageError(
        `port ${port} is in use. Choose another range: scripts/localnet/up --port-base ${portBase + 3_000} --dir .localnet-2`,
      );
    }
  }
}

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
  });

/** A base from which a whole network's ports are free; for demos and tests. */
export async function freePortBase(participants = 4): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    // Below the range from which the system takes ports of outgoing connections.
    const base = 10_000 + Math.floor(Math.random() * 100) * 200;
    const places = Array.from({ length: participants + 1 }, (_, i) =>
      [17, 56, 57, 79, 80, 81, 85, 90].map((n) => base + 100 * i + n),
    ).flat();
    const free = await Promise.all(places.map(isFree));
    if (free.every(Boolean)) return base;
  }
  throw new Error("no free range of ports found");
}

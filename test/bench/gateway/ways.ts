/** The ways: straight to the upstream, through a Karat network of two participants, through the least of two hops, through Portkey's gateway. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePortBase, url } from "../../../scripts/localnet/lib/layout.ts";
import { Network } from "../../../scripts/localnet/lib/network.ts";
import { readOptions } from "../../../scripts/localnet/lib/options.ts";
import { apiService, redisService } from "../../../scripts/localnet/lib/services.ts";
import type { Way } from "./measure.ts";

export interface Ways {
  readonly ways: readonly Way[];
  close(): Promise<void>;
}

const PARTICIPANTS = 2;

/**
 * `portkeyDir`: a folder with Portkey's package installed; undefined or without it, that way is left out. `profileDir`: where the API nodes
 * leave a CPU profile each.
 */
export async function openWays(portkeyDir: string | undefined, profileDir?: string): Promise<Ways> {
  const dir = mkdtempSync(join(tmpdir(), "karat-bench-"));
  const children: { kill: () => Promise<void> }[] = [];
  let network: Network | undefined;
  const close = async (): Promise<void> => {
    await network?.stop();
    for (const child of children) await child.kill();
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    // One client makes all requests; its limits are not what is measured.
    process.env.KARAT_API_RATE = "1000000";
    process.env.KARAT_API_LOG_LEVEL = "warn";
    const flags = ["--dir", dir, "--participants", String(PARTICIPANTS)];
    const options = readOptions(flags);
    network = await Network.create({ ...options, portBase: await freePortBase(PARTICIPANTS) });
    const { plan } = network;
    const [first] = plan.participants;
    const mlPorts = plan.participants.map(({ ports }) => String(ports.ml));
    children.push(await start(process.execPath, [join(import.meta.dirname, "upstream.ts"), ...mlPorts]));
    const upstream = url(first!.ports.ml);
    const redis = redisService(dir, plan);
    if (redis) await network.run(redis);
    for (const chain of network.chains()) await network.run(chain);
    const profiled = profileDir ? { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${profileDir}` } : {};
    for (const participant of plan.participants) {
      const { spec, ready } = apiService(dir, plan, participant);
      await network.run({ spec: { ...spec, env: profiled }, ready });
    }
    const running = network.processes;
    const named = (kind: RegExp): [string, number][] =>
      running.filter(({ name }) => kind.test(name)).map(({ name, pid }) => [name, pid]);
    const beside = named(/^(chain|redis)/);
    const ways: Way[] = [
      { name: "direct", origin: upstream, headers: {}, processes: {}, beside: [] },
      {
        name: "karat",
        origin: url(first!.ports.api),
        headers: { authorization: `Bearer ${network.apiKey}` },
        processes: Object.fromEntries([...named(/^api-/), ...beside]),
        beside: beside.map(([name]) => name),
      },
    ];
    const [own, peer] = [await freePort(), await freePort()];
    const floor = async (port: number, ...args: string[]) => {
      const child = await start(process.execPath, [join(import.meta.dirname, "floor.ts"), String(port), ...args]);
      children.push(child);
      return child.pid;
    };
    const peerPid = await floor(peer, upstream);
    const processes = { asked: await floor(own, upstream, url(peer)), peer: peerPid };
    ways.push({ name: "floor", origin: url(own), headers: {}, processes, beside: [], plainOnly: true });
    const portkey = portkeyDir ? join(portkeyDir, "node_modules/@portkey-ai/gateway/build/start-server.js") : "";
    if (portkey && existsSync(portkey)) {
      const port = await freePort();
      const env = { NODE_ENV: "production", TRUSTED_CUSTOM_HOSTS: "127.0.0.1" };
      const child = await start(process.execPath, [portkey, "--headless", `--port=${port}`], env, url(port));
      children.push(child);
      const headers = {
        authorization: "Bearer none",
        "x-portkey-provider": "openai",
        "x-portkey-custom-host": `${upstream}/v1`,
      };
      ways.push({ name: "portkey", origin: url(port), headers, processes: { portkey: child.pid }, beside: [] });
    }
    return { ways, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** A child that answers at `ready`, or prints something when it is. */
async function start(command: string, args: string[], env: Record<string, string> = {}, ready?: string) {
  const child = spawn(command, ["--disable-warning=ExperimentalWarning", ...args], {
    stdio: ["ignore", ready ? "ignore" : "pipe", "inherit"],
    env: { ...process.env, ...env },
  });
  const { pid } = child;
  if (pid === undefined) throw new Error(`cannot start ${args[0]}`);
  if (child.stdout) await Promise.race([once(child.stdout, "data"), failsFirst(once(child, "exit"), args[0]!)]);
  for (let tries = 0; ready && !(await answers(ready)); tries++) {
    if (tries === 100) throw new Error(`${args[0]} does not answer`);
    await sleep(100);
  }
  const kill = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  };
  return { pid, kill };
}

async function failsFirst(exit: Promise<unknown>, what: string): Promise<never> {
  await exit;
  throw new Error(`${what} ended while starting`);
}

const answers = (origin: string): Promise<boolean> =>
  fetch(origin).then(
    () => true,
    () => false,
  );

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

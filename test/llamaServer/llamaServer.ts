/** A real llama-server: built once from the source bundle in the npm packages, started on a free port, ended by its pid. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { homedir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const HERE = import.meta.dirname;
const BUILD_TIMEOUT_MS = 1_800_000;
const START_TIMEOUT_MS = 120_000;

/** Folder with `llama-server` and `lib`. Throws when it cannot be built: what is needed is git and g++. */
export async function builtLlamaServer(): Promise<string> {
  const manifest = join(HERE, "../../node_modules/node-llama-cpp/package.json");
  const { version } = JSON.parse(await readFile(manifest, "utf8")) as { version: string };
  const cache = process.env.KARAT_CACHE ?? join(homedir(), ".cache", "karat", "bin");
  const folder = join(cache, `llama-server-${version}`);
  if (existsSync(join(folder, "llama-server"))) return folder;
  process.stdout.write("building llama-server, once: some minutes\n");
  const build = spawn(join(HERE, "build.sh"), [folder], {
    stdio: ["ignore", "ignore", "inherit"],
    timeout: BUILD_TIMEOUT_MS,
  });
  const [code] = (await once(build, "exit")) as [number | null];
  if (code !== 0) throw new Error(`llama-server could not be built (${code}): git and g++ are needed`);
  return folder;
}

export interface RunningServer {
  readonly url: string;
  close(): Promise<void>;
}

export async function startLlamaServer(folder: string, modelPath: string): Promise<RunningServer> {
  const port = await freePort();
  const flags = [
    "--host",
    "127.0.0.1",
    "--port",
    String(port),
    "-m",
    modelPath,
    "-c",
    "4096",
    "-np",
    "4",
    "-t",
    "1",
    "-tb",
    "1",
  ];
  // It looks for its backends in the working directory.
  const server = spawn(join(folder, "llama-server"), flags, { cwd: join(folder, "lib"), stdio: "ignore" });
  const url = `http://127.0.0.1:${port}`;
  const until = Date.now() + START_TIMEOUT_MS;
  while (!(await isHealthy(url))) {
    if (server.exitCode !== null || server.signalCode !== null || Date.now() > until) {
      await end(server);
      throw new Error(`llama-server does not serve (exit code ${server.exitCode})`);
    }
    await sleep(100);
  }
  return { url, close: () => end(server) };
}

async function isHealthy(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/health`)).ok;
  } catch {
    return false;
  }
}

async function end(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  const exited = once(server, "exit");
  server.kill("SIGKILL");
  await exited;
}

async function freePort(): Promise<number> {
  const probe = createServer();
  probe.listen(0, "127.0.0.1");
  await once(probe, "listening");
  const address = probe.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  probe.close();
  await once(probe, "close");
  return address.port;
}

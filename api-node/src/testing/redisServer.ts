import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, createConnection, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

export const redisInstalled = spawnSync("redis-server", ["--version"]).status === 0;

/** Without Redis its tests are left out, loudly; in CI that is a failure. */
export function requireRedis(): boolean {
  if (redisInstalled) return true;
  if (process.env.CI === "true") throw new Error("redis-server is not installed; CI needs it");
  console.warn(
    "SKIPPED: redis-server is not installed, so the queue on Redis is not tested (apt-get install redis-server)",
  );
  return false;
}

/** A Redis of one test, on a free port, with an append-only file; it can be killed and started again. */
export class RedisServer {
  readonly url: string;
  readonly #port: number;
  readonly #directory = mkdtempSync(join(tmpdir(), "karat-redis-"));
  #process: ChildProcess | undefined;

  private constructor(port: number) {
    this.#port = port;
    this.url = `redis://127.0.0.1:${port}`;
  }

  static async start(): Promise<RedisServer> {
    const redis = new RedisServer(await freePort());
    await redis.up();
    return redis;
  }

  async up(): Promise<void> {
    const args = ["--port", String(this.#port), "--bind", "127.0.0.1", "--dir", this.#directory];
    this.#process = spawn("redis-server", [...args, "--appendonly", "yes", "--save", ""], { stdio: "ignore" });
    for (let tries = 0; tries < 200; tries++) {
      if (await accepts(this.#port)) return;
      await sleep(25);
    }
    throw new Error("redis-server does not come up");
  }

  /** As a crash: no goodbye. */
  async kill(): Promise<void> {
    const running = this.#process;
    this.#process = undefined;
    if (!running) return;
    const gone = once(running, "exit");
    running.kill("SIGKILL");
    await gone;
  }

  async close(): Promise<void> {
    await this.kill();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

async function accepts(port: number): Promise<boolean> {
  const socket = createConnection(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

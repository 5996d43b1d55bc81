import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import { singleValidatorGenesis } from "../consensus/genesis.ts";
import { ed25519Key } from "../consensus/keys.ts";
import { KvApp, type KvFaults } from "../testing/kv-app.ts";
import { rpc } from "../testing/rpc-client.ts";
import { temporaryFolder } from "../testing/temporary.ts";
import { findCometBft } from "./binary.ts";
import { freePort } from "./free-port.ts";
import { nodeIdOf } from "./home.ts";
import { CometEngine, type CometOptions } from "./supervisor.ts";

const binary = await findCometBft();
const SEED = new Uint8Array(32).fill(5);
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  vi.unstubAllEnvs();
});

function newFolder(): string {
  const folder = temporaryFolder();
  cleanups.push(folder.remove);
  return folder.path;
}

function options(dir: string, opened: KvApp[] = [], faults: KvFaults = {}): CometOptions {
  return {
    openApplication: async () => {
      const app = new KvApp(join(dir, "app"), faults);
      opened.push(app);
      return app;
    },
    genesis: singleValidatorGenesis({
      chainId: "supervised-1",
      timeMs: Date.now() - 1_000,
      validator: ed25519Key(SEED),
      appState: {},
    }),
    dir: join(dir, "comet"),
    validatorKey: SEED,
    rpc: { host: "127.0.0.1", port: 0 },
    blockTimeMs: 50,
  };
}

async function open(more: CometOptions): Promise<CometEngine> {
  const engine = await CometEngine.open(more);
  cleanups.push(() => engine.stop());
  return engine;
}

/** A stand-in for the binary: a shell script. */
function script(dir: string, body: string): string {
  mkdirSync(dir, { recursive: true });
  const path = join(dir, "cometbft");
  writeFileSync(path, `#!/bin/sh\n${body}\n`);
  chmodSync(path, 0o755);
  return path;
}

const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

describe.skipIf(binary === undefined)("a supervised CometBFT", () => {
  const height = async (engine: CometEngine): Promise<number> => {
    const { result } = await rpc(engine.rpcUrl, "status");
    return Number((result as { sync_info: { latest_block_height: string } }).sync_info.latest_block_height);
  };

  test("is started again with its application when it dies, and the chain goes on", async () => {
    const opened: KvApp[] = [];
    const engine = await open(options(newFolder(), opened));
    const sent = (await rpc(engine.rpcUrl, "broadcast_tx_commit", { tx: Buffer.from("a=1").toString("base64") }))
      .result;
    const first = engine.pid!;
    process.kill(first, "SIGKILL");
    const before = Number((sent as { height: string }).height);
    await vi.waitFor(async () => expect(await height(engine)).toBeGreaterThan(before), {
      timeout: 20_000,
      interval: 50,
    });
    expect(engine.pid).not.toBe(first);
    expect(opened).toHaveLength(2);
    expect(opened[1]?.calls).not.toContain("initChain");
    const value = await rpc(engine.rpcUrl, "abci_query", { path: "/key", data: Buffer.from("a").toString("hex") });
    expect(value.result).toMatchObject({ response: { value: Buffer.from("1").toString("base64") } });
    const second = engine.pid!;
    await engine.stop();
    expect([alive(first), alive(second)]).toEqual([false, false]);
    await expect(engine.finished).resolves.toBeUndefined();
  });

  test("makes blocks together with its peers, and their applications agree", async () => {
    const seeds = [1, 2].map((fill) => new Uint8Array(32).fill(fill));
    const ports = [await freePort("127.0.0.1"), await freePort("127.0.0.1")];
    const [a, b] = seeds.map((seed) =>
      singleValidatorGenesis({
        chainId: "pair-1",
        timeMs: 1_700_000_000_000,
        validator: ed25519Key(seed),
        appState: {},
      }),
    );
    const genesis = { ...a!, validators: [...a!.validators!, ...b!.validators!] };
    const nodes = await Promise.all(
      seeds.map((validatorKey, at) => {
        const peer = `${nodeIdOf(ed25519Key(seeds[1 - at]!))}@127.0.0.1:${ports[1 - at]}`;
        const p2p = { host: "127.0.0.1", port: ports[at]!, persistentPeers: [peer] };
        return open({ ...options(newFolder()), genesis, validatorKey, p2p });
      }),
    );
    const tx = Buffer.from("a=1").toString("base64");
    const sent = (await rpc(nodes[0]!.rpcUrl, "broadcast_tx_commit", { tx })).result as { height: string };
    const next = Number(sent.height) + 1;
    const appHashes = await Promise.all(
      nodes.map(async (node) => {
        await vi.waitFor(async () => expect(await height(node)).toBeGreaterThanOrEqual(next), { timeout: 20_000 });
        const { result } = await rpc(node.rpcUrl, "header", { height: String(next) });
        return (result as { header: { app_hash: string } }).header.app_hash;
      }),
    );
    expect(appHashes[0]).toMatch(/^[0-9A-F]{64}$/);
    expect(appHashes[1]).toBe(appHashes[0]);
  });

  test("is given up when the application keeps failing", async () => {
    const opened: KvApp[] = [];
    const engine = await open({ ...options(newFolder(), opened, { failAtHeight: 3n }), maxRestarts: 1 });
    await expect(engine.finished).rejects.toMatchObject({ code: "comet/gave-up", data: { restarts: 2 } });
    expect(opened).toHaveLength(2);
    expect(engine.pid).toBeUndefined();
  });

  test("keeps its signing state over restarts", async () => {
    const dir = newFolder();
    const commit = async (engine: CometEngine, tx: string) => {
      const sent = await rpc(engine.rpcUrl, "broadcast_tx_commit", { tx: Buffer.from(tx).toString("base64") });
      expect(sent).toMatchObject({ result: { tx_result: { code: 0 } } });
    };
    const first = await open(options(dir));
    await commit(first, "a=1");
    await first.stop();
    const file = join(dir, "comet", "data", "priv_validator_state.json");
    const signed = BigInt((JSON.parse(readFileSync(file, "utf8")) as { height: string }).height);
    expect(signed).toBeGreaterThan(1n);
    const second = await open(options(dir));
    // The first of the two may be in the height that was signed before the stop.
    await commit(second, "b=1");
    await commit(second, "c=1");
    await second.stop();
    expect(BigInt((JSON.parse(readFileSync(file, "utf8")) as { height: string }).height)).toBeGreaterThan(signed);
  });
});

describe("a binary that does not do its work", () => {
  test("ends at once: its last words are in the error", async () => {
    const dir = newFolder();
    const path = script(join(dir, "bin"), 'echo "no such home" >&2; exit 3');
    await expect(open({ ...options(dir), binary: path })).rejects.toMatchObject({
      code: "comet/exited",
      data: { output: ["no such home"] },
    });
  });

  test("finds its port taken: another is tried where the port was not asked for", async () => {
    const dir = newFolder();
    const path = script(
      join(dir, "bin"),
      `echo x >> "${dir}/starts"; echo "listen: address already in use" >&2; exit 1`,
    );
    const fixed = { rpc: { host: "127.0.0.1", port: 1 }, p2p: { host: "127.0.0.1", port: 2 } };
    await expect(open({ ...options(dir), binary: path, ...fixed })).rejects.toMatchObject({ code: "comet/exited" });
    expect(readFileSync(join(dir, "starts"), "utf8")).toBe("x\n");
    await expect(open({ ...options(dir), binary: path })).rejects.toMatchObject({ code: "comet/exited" });
    expect(readFileSync(join(dir, "starts"), "utf8")).toBe("x\nx\nx\nx\n");
  });

  test("is not the node that answers at its address: it is not taken for ready", async () => {
    const dir = newFolder();
    const other = createServer((_, response) => {
      response.end(JSON.stringify({ result: { node_info: { id: "other" }, sync_info: { latest_block_height: "9" } } }));
    });
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    cleanups.push(() => other.close());
    const { port } = other.address() as AddressInfo;
    const path = script(join(dir, "bin"), "exec sleep 600");
    const taken = { rpc: { host: "127.0.0.1", port }, startTimeoutMs: 500 };
    await expect(open({ ...options(dir), binary: path, ...taken })).rejects.toMatchObject({
      code: "comet/start-timeout",
    });
  });

  test("makes no block: it is ended", async () => {
    const dir = newFolder();
    const path = script(join(dir, "bin"), `echo $$ > "${dir}/pid"; exec sleep 600`);
    await expect(open({ ...options(dir), binary: path, startTimeoutMs: 500 })).rejects.toMatchObject({
      code: "comet/start-timeout",
    });
    expect(alive(Number(readFileSync(join(dir, "pid"), "utf8")))).toBe(false);
  });

  test("is not there", async () => {
    const dir = newFolder();
    await expect(open({ ...options(dir), binary: join(dir, "none") })).rejects.toMatchObject({ code: "comet/exited" });
  });
});

describe("finding the binary", () => {
  test("PATH comes before the cache folder, and other releases are passed over", async () => {
    const dir = newFolder();
    const cached = script(join(dir, "cache"), "echo 0.38.25");
    vi.stubEnv("KARAT_CACHE", join(dir, "cache"));
    vi.stubEnv("PATH", join(dir, "path"));
    expect(await findCometBft()).toBe(cached);
    const other = script(join(dir, "path"), "echo 1.0.1");
    expect(await findCometBft()).toBe(cached);
    writeFileSync(other, "#!/bin/sh\necho 0.38.99\n");
    expect(await findCometBft()).toBe(other);
  });

  test("there is none", async () => {
    const dir = newFolder();
    vi.stubEnv("KARAT_CACHE", dir);
    vi.stubEnv("PATH", dir);
    expect(await findCometBft()).toBeUndefined();
  });
});

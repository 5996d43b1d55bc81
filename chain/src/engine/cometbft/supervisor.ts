import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { isKaratError, KaratError, type Logger, messageOf, silentLogger } from "@karat/common";
import type { Application, RunningEngine } from "../abci.ts";
import type { GenesisJson } from "../consensus/genesis.ts";
import { ed25519Key } from "../consensus/keys.ts";
import { ensureCometBft } from "./binary.ts";
import { freePort } from "./free-port.ts";
import { type CometStateSync, nodeIdOf, writeCometHome } from "./home.ts";
import { endOrphan, rememberPid } from "./orphan.ts";
import { type AbciServer, serveAbci } from "./server.ts";

export interface CometOptions {
  /** Opens the application; called again before each restart, with the one before closed. */
  readonly openApplication: () => Promise<Application>;
  readonly closeApplication?: (application: Application) => Promise<void>;
  readonly genesis: GenesisJson;
  /** CometBFT's home folder: its keys, configuration and data. */
  readonly dir: string;
  /** 32-byte seed of the Ed25519 key that signs blocks. */
  readonly validatorKey: Uint8Array;
  /** 32-byte seed of the key that names the node; by default the validator's. */
  readonly nodeKey?: Uint8Array;
  readonly rpc: { readonly host: string; readonly port: number };
  readonly p2p?: {
    readonly host: string;
    readonly port: number;
    readonly externalAddress?: string;
    readonly persistentPeers?: readonly string[];
  };
  readonly blockTimeMs: number;
  readonly blockTimeIdleMs?: number;
  readonly moniker?: string;
  readonly metricsListen?: string;
  readonly log?: Logger;
  readonly signal?: AbortSignal;
  /** Path of the binary; by default found, or built with Go. */
  readonly binary?: string;
  /** How often in a row both may be started again before the engine gives up. */
  readonly maxRestarts?: number;
  /** Failures of the application that starting again cannot mend: the engine ends with them at once. */
  readonly isFinal?: (failure: unknown) => boolean;
  /** How long the first block may take: a minute by default, ten with state sync. A node that waits for its peers may need more. */
  readonly startTimeoutMs?: number;
  /** Takes the state from a peer's snapshot. Only for a home and an application without blocks. */
  readonly stateSync?: CometStateSync;
}

const DEFAULT_RESTARTS = 5;
const FIRST_BACKOFF_MS = 1_000;
const MAX_BACKOFF_MS = 30_000;
/** A run this long counts as healthy: restarts are counted anew after it. */
const HEALTHY_MS = 60_000;
const STOP_TIMEOUT_MS = 15_000;
const START_TIMEOUT_MS = 60_000;
const STATE_SYNC_TIMEOUT_MS = 600_000;
const POLL_MS = 100;
const PORT_ATTEMPTS = 3;
const OUTPUT_LINES_KEPT = 20;

/** One start of application, ABCI server and CometBFT. */
interface Run {
  readonly application: Application;
  readonly abci: AbciServer;
  readonly child: ChildProcess;
  readonly exited: Promise<void>;
  /** CometBFT's last lines, for the report when it dies. */
  readonly output: readonly string[];
  readonly startedAt: number;
}

/**
 * The real consensus engine: a CometBFT process and the application it drives, started together (application first) and
 * started again together when either ends. Gives up with `comet/gave-up` after too many restarts in a row.
 */
export class CometEngine implements RunningEngine {
  readonly rpcUrl: string;
  readonly finished: Promise<void>;
  readonly #options: CometOptions;
  readonly #binary: string;
  readonly #log: Logger;
  readonly #settle: { resolve: () => void; reject: (reason: unknown) => void };
  readonly #aborter = new AbortController();
  #run: Run | undefined;
  #supervising: Promise<void> = Promise.resolve();
  #stopping: Promise<void> | undefined;

  /** Resolves when block 1 is committed and the RPC answers. Throws `comet/unavailable`, `comet/exited` or `comet/start-timeout`. */
  static async open(options: CometOptions): Promise<CometEngine> {
    options.signal?.throwIfAborted();
    const binary = options.binary ?? (await ensureCometBft(options.log));
    const choosesPorts = options.rpc.port === 0 || !options.p2p?.port;
    for (let attempt = 1; ; attempt++) {
      const engine = new CometEngine(await withPorts(options), binary);
      try {
        await engine.#start();
        await engine.#untilReady();
      } catch (error) {
        const final = await engine.#finalFailure(engine.#run);
        if (final !== undefined) throw final;
        // A port that was free when it was chosen may be taken by now.
        const taken = engine.#saidPortTaken(error);
        if (choosesPorts && taken && attempt < PORT_ATTEMPTS) continue;
        throw error;
      }
      engine.#supervising = engine.#supervise();
      options.signal?.addEventListener("abort", () => void engine.stop(), { once: true });
      if (options.signal?.aborted) await engine.stop();
      return engine;
    }
  }

  #saidPortTaken(error: unknown): boolean {
    return isKaratError(error, "comet/exited") && JSON.stringify(error.data).includes("address already in use");
  }

  private constructor(options: CometOptions, binary: string) {
    this.#options = options;
    this.#binary = binary;
    this.#log = options.log ?? silentLogger;
    this.rpcUrl = `http://${options.rpc.host}:${options.rpc.port}`;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.finished = promise;
    this.#settle = { resolve, reject };
    promise.catch(() => undefined);
  }

  /** The process id of CometBFT while it runs. */
  get pid(): number | undefined {
    return this.#run?.child.pid;
  }

  stop(): Promise<void> {
    this.#stopping ??= (async () => {
      this.#aborter.abort();
      await this.#stopRun();
      await this.#supervising;
      this.#settle.resolve();
    })();
    return this.#stopping;
  }

  async #start(): Promise<void> {
    const application = await this.#options.openApplication();
    let abci: AbciServer | undefined;
    try {
      abci = await serveAbci({ application, listen: "tcp://127.0.0.1:0", log: this.#log });
      await this.#writeHome(abci.address);
      await endOrphan(this.#options.dir, this.#log);
      this.#run = { application, abci, startedAt: Date.now(), ...this.#spawn(this.#options.dir) };
    } catch (error) {
      await abci?.stop();
      await this.#options.closeApplication?.(application);
      throw error;
    }
  }

  async #writeHome(proxyApp: string): Promise<void> {
    const { genesis, dir, rpc, p2p, blockTimeMs, blockTimeIdleMs, metricsListen, stateSync } = this.#options;
    const validatorKey = ed25519Key(this.#options.validatorKey);
    await writeCometHome({
      home: dir,
      genesis,
      validatorKey,
      nodeKey: this.#options.nodeKey ? ed25519Key(this.#options.nodeKey) : validatorKey,
      settings: {
        moniker: this.#options.moniker ?? "karat",
        proxyApp,
        rpcListen: `tcp://${rpc.host}:${rpc.port}`,
        p2pListen: `tcp://${p2p!.host}:${p2p!.port}`,
        ...(p2p?.externalAddress === undefined ? {} : { externalAddress: p2p.externalAddress }),
        persistentPeers: p2p?.persistentPeers ?? [],
        blockTimeMs,
        ...(blockTimeIdleMs === undefined ? {} : { blockTimeIdleMs }),
        ...(metricsListen === undefined ? {} : { metricsListen }),
        ...(stateSync === undefined ? {} : { stateSync }),
        logLevel: "error",
      },
    });
  }

  #spawn(dir: string): Pick<Run, "child" | "exited" | "output"> {
    const child = spawn(this.#binary, ["start", "--home", dir], { stdio: ["ignore", "pipe", "pipe"] });
    const output: string[] = [];
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on("line", (line) => {
        output.push(line.slice(0, 2_000));
        if (output.length > OUTPUT_LINES_KEPT) output.shift();
        this.#log.debug({ line: line.slice(0, 2_000) }, "CometBFT said");
      });
    }
    const exited = new Promise<void>((resolve) => {
      child.once("exit", () => resolve());
      child.once("error", (error) => {
        output.push(messageOf(error));
        resolve();
      });
    });
    if (child.pid !== undefined) rememberPid(dir, child.pid);
    this.#log.info({ pid: child.pid, dir }, "started CometBFT");
    return { child, exited, output };
  }

  /** Waits until the RPC speaks of a committed block. */
  async #untilReady(): Promise<void> {
    const { startTimeoutMs, stateSync } = this.#options;
    const timeout = startTimeoutMs ?? (stateSync === undefined ? START_TIMEOUT_MS : STATE_SYNC_TIMEOUT_MS);
    const deadline = Date.now() + timeout;
    const run = this.#run!;
    const nodeId = nodeIdOf(ed25519Key(this.#options.nodeKey ?? this.#options.validatorKey));
    let exited = false;
    void run.exited.then(() => {
      exited = true;
    });
    while (Date.now() < deadline) {
      if (exited) throw new KaratError("comet/exited", "CometBFT ended while starting", { output: run.output });
      if (await hasBlock(this.rpcUrl, nodeId)) return;
      await delay(POLL_MS);
    }
    throw new KaratError("comet/start-timeout", "CometBFT made no block in time", { timeout, output: run.output });
  }

  /** Restarts application and CometBFT, in that order, whenever either has ended. */
  async #supervise(): Promise<void> {
    const limit = this.#options.maxRestarts ?? DEFAULT_RESTARTS;
    let restarts = 0;
    while (this.#run !== undefined) {
      const run = this.#run;
      const failed = await Promise.race([run.exited.then(() => undefined), run.abci.finished.catch((error) => error)]);
      if (this.#aborter.signal.aborted) return;
      if (Date.now() - run.startedAt > HEALTHY_MS) restarts = 0;
      const reason = failed === undefined ? "CometBFT exited" : messageOf(failed);
      this.#log.error({ reason, restarts, output: run.output }, "the node went down");
      const final = await this.#finalFailure(run);
      if (final !== undefined) return this.#settle.reject(final);
      if (++restarts > limit) return this.#giveUp(reason, restarts, run.output);
      const backoff = Math.min(FIRST_BACKOFF_MS * 2 ** (restarts - 1), MAX_BACKOFF_MS);
      if (!(await this.#sleep(backoff))) return;
      try {
        await this.#start();
      } catch (error) {
        await this.#stopRun();
        return this.#giveUp(messageOf(error), restarts, []);
      }
      // A stop during the start found nothing to end yet.
      if (this.#aborter.signal.aborted) await this.#stopRun();
    }
  }

  /** Stops what runs; what the application failed with, where that is final. */
  async #finalFailure(run: Run | undefined): Promise<unknown> {
    await this.#stopRun();
    const failure = await run?.abci.finished.then(
      () => undefined,
      (error: unknown) => error,
    );
    return this.#options.isFinal?.(failure) === true ? failure : undefined;
  }

  #giveUp(reason: string, restarts: number, output: readonly string[]): void {
    this.#settle.reject(new KaratError("comet/gave-up", "the node keeps going down", { reason, restarts, output }));
  }

  /** Sleeps; false when the engine was stopped before or meanwhile. */
  async #sleep(timeMs: number): Promise<boolean> {
    const { signal } = this.#aborter;
    await delay(timeMs, undefined, { signal }).catch(() => undefined);
    return !signal.aborted;
  }

  async #stopRun(): Promise<void> {
    const run = this.#run;
    if (run === undefined) return;
    this.#run = undefined;
    run.child.kill("SIGTERM");
    const killer = setTimeout(() => run.child.kill("SIGKILL"), STOP_TIMEOUT_MS);
    await run.exited;
    clearTimeout(killer);
    await run.abci.stop();
    await this.#options.closeApplication?.(run.application);
  }
}

/** True when this very node answers and has a block: another's RPC may stand at the address. */
async function hasBlock(rpcUrl: string, nodeId: string): Promise<boolean> {
  try {
    const reply = await fetch(`${rpcUrl}/status`, { signal: AbortSignal.timeout(2_000) });
    const { result } = (await reply.json()) as {
      result?: { node_info?: { id?: string }; sync_info?: { latest_block_height?: string } };
    };
    return result?.node_info?.id === nodeId && BigInt(result.sync_info?.latest_block_height ?? "0") > 0n;
  } catch {
    return false;
  }
}

/** The options with a free port wherever port 0 was asked for: CometBFT cannot tell which one it got. */
async function withPorts(options: CometOptions): Promise<CometOptions> {
  const { rpc, p2p } = options;
  const host = p2p?.host ?? "127.0.0.1";
  return {
    ...options,
    rpc: { host: rpc.host, port: rpc.port || (await freePort(rpc.host)) },
    p2p: { ...p2p, host, port: p2p?.port || (await freePort(host)) },
  };
}

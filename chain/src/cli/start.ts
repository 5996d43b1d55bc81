import { mkdir } from "node:fs/promises";
import { createLogger, isKaratError, KaratError, type Logger, messageOf, secp256k1Build } from "@karat/common";
import { composeModules, createKaratApp, PROGRAM, STORES } from "../app/compose.ts";
import { FileSnapshots } from "../app/fileSnapshots.ts";
import type { KaratApp } from "../app/karatApp.ts";
import { SignaturePool, SignaturesAhead } from "../app/signatures/index.ts";
import { NEEDS_OTHER_PROGRAM, type Program } from "../app/upgrade.ts";
import type { Application } from "../engine/abci.ts";
import { CometEngine, type CometStateSync, type GenesisJson, type RunningEngine, SoloEngine } from "../engine/index.ts";
import {
  applicationQuery,
  httpNodeRpc,
  type NodeRpc,
  type RestServer,
  startRest,
  withEngineQueries,
} from "../rest/index.ts";
import { LmdbCommitStore } from "../store/index.ts";
import { ensureNodeKey, homePaths, readHomeGenesis, readValidatorKey } from "./home.ts";
import { lockHome } from "./lock.ts";
import { prepareStateSync, type StateSyncSettings, stateSyncSettings } from "./stateSync.ts";
import { announce, hostAndPort, oneOf, readOptions, wholeNumber } from "./usage.ts";

const NAMES = [
  "home",
  "engine",
  "rpc",
  "rest",
  "block-time-ms",
  "block-time-idle-ms",
  "retain-blocks",
  "p2p",
  "external-address",
  "peers",
  "moniker",
  "metrics",
  "snapshot-interval",
  "start-timeout-ms",
  "state-sync",
  "trust",
  "log-level",
  "check-invariants",
] as const;

interface Opened {
  readonly app: KaratApp;
  /** What the engine drives: the same, with its signatures verified ahead. */
  readonly application: Application;
  readonly store: LmdbCommitStore;
}

/** One connection of CometBFT carries all queries: one that waits for the engine's index must not hold up the rest for long. */
const INDEX_TIMEOUT_MS = 2_000;

/** For tests: another node than the one of the command line. */
export interface NodeParts {
  /** Puts something between the engine and the application. */
  readonly decorate: (application: Application) => Application;
  /** The rules that it executes. */
  readonly program: Program;
}

const PARTS: NodeParts = { decorate: (application) => application, program: PROGRAM };

/**
 * `start --home <dir> --engine solo|cometbft [--rpc 127.0.0.1:26657] [--rest 127.0.0.1:1317] [--block-time-ms 1000] …`: runs a node
 * until SIGTERM or SIGINT. Prints `{"event":"listening","rpc":…}` once the RPC answers, with `rest` where that was asked for.
 * Rejects where the engine halts by itself, and with `home_locked` where another process has the home open.
 */
export async function start(args: readonly string[], parts: Partial<NodeParts> = {}): Promise<void> {
  const options = readOptions(args, NAMES, ["home", "engine"]);
  const engine = oneOf(options.engine, "engine", ["solo", "cometbft"]);
  const settings = {
    home: options.home,
    engine,
    rpc: hostAndPort(options.rpc ?? "127.0.0.1:26657", "rpc"),
    ...optional(options.rest, (text) => ({ rest: hostAndPort(text, "rest") })),
    blockTimeMs: wholeNumber(options["block-time-ms"] ?? "1000", "block-time-ms", 10, 3_600_000),
    ...optional(options["block-time-idle-ms"], (text) => ({
      blockTimeIdleMs: wholeNumber(text, "block-time-idle-ms", 10, 3_600_000),
    })),
    ...optional(options["retain-blocks"], (text) => ({ retainBlocks: wholeNumber(text, "retain-blocks", 2, 1e9) })),
    ...optional(options.p2p, (text) => ({ p2p: hostAndPort(text, "p2p") })),
    ...optional(options["external-address"], (externalAddress) => ({ externalAddress })),
    peers: (options.peers ?? "").split(",").filter((peer) => peer !== ""),
    ...optional(options.moniker, (moniker) => ({ moniker })),
    ...optional(options.metrics, (metricsListen) => ({ metricsListen })),
    snapshotInterval: wholeNumber(options["snapshot-interval"] ?? "0", "snapshot-interval", 0, 1e9),
    ...optional(options["start-timeout-ms"], (text) => ({
      startTimeoutMs: wholeNumber(text, "start-timeout-ms", 1_000, 3_600_000),
    })),
    ...optional(options["state-sync"], (servers) => ({ stateSync: stateSyncSettings(servers, options.trust) })),
    checkInvariants: oneOf(options["check-invariants"] ?? "no", "check-invariants", ["yes", "no"]) === "yes",
  };
  const log = createLogger(
    "chain",
    oneOf(options["log-level"] ?? "info", "log-level", ["debug", "info", "warn", "error", "silent"]),
  );
  const stop = new AbortController();
  const onSignal = () => stop.abort();
  process.once("SIGTERM", onSignal);
  process.once("SIGINT", onSignal);
  try {
    await runNode(settings, log, stop.signal, { ...PARTS, ...parts });
  } finally {
    process.off("SIGTERM", onSignal);
    process.off("SIGINT", onSignal);
  }
}

interface Settings {
  readonly home: string;
  readonly engine: "solo" | "cometbft";
  readonly rpc: { host: string; port: number };
  readonly rest?: { host: string; port: number };
  readonly blockTimeMs: number;
  readonly blockTimeIdleMs?: number;
  readonly retainBlocks?: number;
  readonly p2p?: { host: string; port: number };
  readonly externalAddress?: string;
  readonly peers: readonly string[];
  readonly moniker?: string;
  readonly metricsListen?: string;
  readonly snapshotInterval: number;
  readonly startTimeoutMs?: number;
  readonly stateSync?: StateSyncSettings;
  readonly checkInvariants: boolean;
}

async function runNode(settings: Settings, log: Logger, signal: AbortSignal, parts: NodeParts): Promise<void> {
  const lock = await lockHome(settings.home);
  try {
    await runLocked(settings, log, signal, parts);
  } finally {
    lock.release();
  }
}

async function runLocked(settings: Settings, log: Logger, signal: AbortSignal, parts: NodeParts): Promise<void> {
  const genesis = await readHomeGenesis(settings.home);
  const validatorKey = (await readValidatorKey(settings.home)).seed;
  const { stateSync } = settings;
  const sync = stateSync && (await prepareStateSync(settings.home, stateSync, genesis, log));
  const index = httpNodeRpc(() => engine?.rpcUrl, { timeoutMs: INDEX_TIMEOUT_MS });
  const pool = new SignaturePool({ log: log.child({ part: "signatures" }) });
  log.info({ library: `libsecp256k1 ${secp256k1Build}` }, "signatures are verified");
  const open = () => openApp(settings, genesis, index, pool, parts, log);
  const opened: Opened[] = [];
  const close = (one: Opened) => {
    opened.splice(opened.indexOf(one), 1);
    one.store.close();
  };
  const openOne = async () => {
    const one = await open();
    opened.push(one);
    return one;
  };
  let engine: RunningEngine | undefined;
  let rest: RestServer | undefined;
  try {
    engine =
      settings.engine === "solo"
        ? await openSolo(settings, genesis, validatorKey, (await openOne()).application, log, signal)
        : await openComet(
            settings,
            genesis,
            validatorKey,
            openOne,
            (application) => close(opened.find((one) => one.application === application)!),
            sync?.comet,
            log,
            signal,
          );
    await sync?.finished();
    rest = await openRest(settings, engine, () => opened.at(-1)?.app, log);
    announce("listening", {
      rpc: engine.rpcUrl,
      ...(rest !== undefined && { rest: rest.url }),
      engine: settings.engine,
      chainId: genesis.chain_id,
    });
    await engine.finished;
    announce("stopped");
  } catch (error) {
    if (!signal.aborted) throw error;
    log.info({ error: messageOf(error) }, "stopped before it was ready");
  } finally {
    await rest?.stop();
    await engine?.stop();
    for (const one of [...opened]) close(one);
    await pool.close();
  }
}

/** Nothing where the node was not asked to serve REST. */
async function openRest(
  { rest: listen }: Settings,
  { rpcUrl }: RunningEngine,
  application: () => KaratApp | undefined,
  log: Logger,
): Promise<RestServer | undefined> {
  if (listen === undefined) return undefined;
  return startRest({
    listen,
    query: applicationQuery(application),
    rpc: httpNodeRpc(() => rpcUrl),
    log: log.child({ part: "rest" }),
  });
}

async function openApp(
  settings: Settings,
  genesis: GenesisJson,
  index: NodeRpc,
  pool: SignaturePool,
  { decorate, program }: NodeParts,
  log: Logger,
): Promise<Opened> {
  const paths = homePaths(settings.home);
  await mkdir(paths.state, { recursive: true });
  const store = await LmdbCommitStore.openChecked({ path: paths.state, ...STORES });
  try {
    const snapshots = new FileSnapshots({
      store,
      dir: paths.snapshots,
      interval: settings.snapshotInterval,
      log: log.child({ part: "snapshots" }),
    });
    const app = createKaratApp({
      store,
      log: log.child({ part: "app" }),
      chainId: genesis.chain_id,
      checkInvariants: settings.checkInvariants,
      snapshots,
      composition: composeModules(program),
    });
    return { app, application: decorate(withEngineQueries(new SignaturesAhead(app, pool), index, log)), store };
  } catch (error) {
    store.close();
    throw error;
  }
}

function openSolo(
  settings: Settings,
  genesis: GenesisJson,
  validatorKey: Uint8Array,
  application: Application,
  log: Logger,
  signal: AbortSignal,
): Promise<RunningEngine> {
  if (settings.p2p !== undefined || settings.peers.length > 0 || settings.stateSync !== undefined) {
    throw new KaratError("usage", "the solo engine has no peers: use --engine cometbft");
  }
  return SoloEngine.open({
    application,
    genesis,
    dir: homePaths(settings.home).solo,
    validatorKey,
    blockTimeMs: settings.blockTimeMs,
    ...(settings.blockTimeIdleMs !== undefined && { blockTimeIdleMs: settings.blockTimeIdleMs }),
    ...(settings.retainBlocks !== undefined && { retainBlocks: settings.retainBlocks }),
    rpc: settings.rpc,
    log: log.child({ part: "engine" }),
    signal,
  });
}

async function openComet(
  settings: Settings,
  genesis: GenesisJson,
  validatorKey: Uint8Array,
  open: () => Promise<Opened>,
  close: (application: Application) => void,
  stateSync: CometStateSync | undefined,
  log: Logger,
  signal: AbortSignal,
): Promise<RunningEngine> {
  const { p2p } = settings;
  return CometEngine.open({
    openApplication: async () => (await open()).application,
    closeApplication: async (application) => close(application),
    genesis,
    dir: homePaths(settings.home).comet,
    validatorKey,
    nodeKey: (await ensureNodeKey(settings.home)).seed,
    rpc: settings.rpc,
    ...(p2p !== undefined && {
      p2p: {
        ...p2p,
        persistentPeers: settings.peers,
        ...(settings.externalAddress !== undefined && { externalAddress: settings.externalAddress }),
      },
    }),
    blockTimeMs: settings.blockTimeMs,
    ...(settings.blockTimeIdleMs !== undefined && { blockTimeIdleMs: settings.blockTimeIdleMs }),
    ...(settings.moniker !== undefined && { moniker: settings.moniker }),
    ...(settings.metricsListen !== undefined && { metricsListen: settings.metricsListen }),
    ...(settings.startTimeoutMs !== undefined && { startTimeoutMs: settings.startTimeoutMs }),
    ...(stateSync !== undefined && { stateSync }),
    isFinal: (failure) => isKaratError(failure) && NEEDS_OTHER_PROGRAM.has(failure.code),
    log: log.child({ part: "engine" }),
    signal,
  });
}

const optional = <T extends object>(text: string | undefined, make: (text: string) => T): T | Record<never, never> =>
  text === undefined ? {} : make(text);

import { KaratError, type Logger, messageOf, silentLogger } from "@karat/common";
import type { Application, RunningEngine } from "../abci.ts";
import { type GenesisJson, parseGenesis } from "../consensus/genesis.ts";
import { type Ed25519Key, ed25519Key } from "../consensus/keys.ts";
import { SerialQueue } from "../serial.ts";
import { BlockClock } from "./block-clock.ts";
import { EventBus, eventsOf } from "./events.ts";
import { type ExecutedBlock, Executor } from "./executor.ts";
import { handshake } from "./handshake.ts";
import { DEFAULT_LIMITS, Mempool, type MempoolLimits } from "./mempool.ts";
import { blockLimits } from "./proposal.ts";
import { RpcServer } from "./rpc/server.ts";
import type { ChainState } from "./state.ts";
import { SoloStore } from "./store.ts";

export interface SoloOptions {
  readonly application: Application;
  readonly genesis: GenesisJson;
  /** Folder of the block store. The application keeps its own state elsewhere. */
  readonly dir: string;
  /** The 32-byte seed of the only validator's Ed25519 key. */
  readonly validatorKey: Uint8Array;
  /** Milliseconds from one block to the next. */
  readonly blockTimeMs: number;
  /** Milliseconds to the next block while no transaction waits; by default `blockTimeMs`. */
  readonly blockTimeIdleMs?: number;
  /** Where the RPC listens; port 0 takes any free one. */
  readonly rpc: { readonly host: string; readonly port: number };
  readonly log?: Logger;
  /** Ends the engine when aborted. */
  readonly signal?: AbortSignal;
  /** Keep this many newest blocks with their results and index entries; absent, all. At least 2. */
  readonly retainBlocks?: number;
  readonly mempool?: Partial<MempoolLimits>;
}

/** CheckTx calls that may wait behind a block before callers are turned away. */
const MAX_QUEUED = 10_000;

/**
 * The embedded consensus engine: one process, one proposer, blocks with real hashes and signatures, and the RPC of CometBFT
 * v0.38. It drives the application exactly as CometBFT does, so that an application cannot tell them apart.
 */
export class SoloEngine implements RunningEngine {
  readonly rpcUrl: string;
  readonly finished: Promise<void>;
  readonly #parts: Parts;
  readonly #settle: { resolve: () => void; reject: (reason: unknown) => void };
  readonly #loop: Promise<void>;
  #stopping: Promise<void> | undefined;

  /**
   * Opens the store, brings the application to its height, makes block 1 where there is none, then opens the RPC port.
   * Throws KaratErrors of `engine/…`: `bad-genesis`, `bad-key`, `app-ahead`, `app-too-old`, `replay-diverged`, `other-chain`,
   * `rpc-listen`, and what a misbehaving application leads to.
   */
  static async open(options: SoloOptions): Promise<SoloEngine> {
    options.signal?.throwIfAborted();
    const parts = await prepare(options);
    try {
      const context = rpcContext(parts);
      const server = new RpcServer(context.value);
      const port = await server.listen(options.rpc.host, options.rpc.port);
      const rpcUrl = `http://${options.rpc.host}:${port}`;
      context.listening(`${options.rpc.host}:${port}`);
      return new SoloEngine(rpcUrl, { ...parts, server });
    } catch (error) {
      await parts.store.close();
      throw error;
    }
  }

  private constructor(rpcUrl: string, parts: Parts) {
    this.rpcUrl = rpcUrl;
    this.#parts = parts;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.finished = promise;
    this.#settle = { resolve, reject };
    // Whoever does not wait for `finished` still learns of a halt from the log.
    promise.catch(() => undefined);
    this.#loop = this.#produce();
    void parts.failure.then((error) => this.#halt(error));
    const { signal } = parts.options;
    signal?.addEventListener("abort", () => void this.stop(), { once: true });
    if (signal?.aborted) void this.stop();
  }

  /** Height of the last committed block. */
  get height(): bigint {
    return this.#parts.chain.state.lastHeight;
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#end();
    return this.#stopping;
  }

  #halt(error: unknown): void {
    if (this.#stopping !== undefined) return;
    const { log, chain } = this.#parts;
    log.error({ err: messageOf(error), height: chain.state.lastHeight.toString() }, "the engine halts");
    this.#stopping = this.#end({ error });
  }

  async #end(failed?: { readonly error: unknown }): Promise<void> {
    const { clock, server, queue, store } = this.#parts;
    clock.stop();
    await server.close();
    await this.#loop;
    await queue.idle();
    await store.close();
    if (failed === undefined) this.#settle.resolve();
    else this.#settle.reject(failed.error);
  }

  /** Makes blocks until stopped; returns early when one fails. */
  async #produce(): Promise<void> {
    const { clock, queue, chain, executor, events } = this.#parts;
    while (await clock.next()) {
      let executed: ExecutedBlock;
      try {
        executed = await queue.run(() => executor.produce(chain.state), { urgent: true });
      } catch (error) {
        this.#halt(error);
        return;
      }
      chain.state = executed.after;
      events.publish(eventsOf(executed));
    }
  }
}

interface Parts {
  readonly options: SoloOptions;
  readonly log: Logger;
  readonly key: Ed25519Key;
  readonly genesis: ReturnType<typeof parseGenesis>;
  readonly store: SoloStore;
  readonly queue: SerialQueue;
  readonly mempool: Mempool;
  readonly executor: Executor;
  readonly events: EventBus;
  readonly clock: BlockClock;
  readonly chain: { state: ChainState };
  /** Resolves with what the application threw, should it ever throw. */
  readonly failure: Promise<unknown>;
  readonly server: RpcServer;
}

async function prepare(options: SoloOptions): Promise<Omit<Parts, "server">> {
  const { dir } = options;
  const { application, failure } = watched(options.application);
  const log = options.log ?? silentLogger;
  const key = ed25519Key(options.validatorKey);
  const genesis = parseGenesis(options.genesis);
  const { retainBlocks } = options;
  if (retainBlocks !== undefined && !(Number.isInteger(retainBlocks) && retainBlocks >= 2)) {
    throw new KaratError("engine/bad-option", "retainBlocks must be a whole number of at least 2", { retainBlocks });
  }
  const store = new SoloStore(dir);
  try {
    const mempool = new Mempool(application, { ...DEFAULT_LIMITS, ...options.mempool });
    const executor = new Executor({
      application,
      store,
      mempool,
      key,
      log,
      ...(retainBlocks === undefined ? {} : { retainBlocks: BigInt(retainBlocks) }),
    });
    let state = await handshake({ application, store, executor, genesis, log });
    mempool.setBlockLimits(blockLimits(state));
    if (state.lastHeight === 0n) state = (await executor.produce(state)).after;
    const events = new EventBus();
    const clock = new BlockClock(
      options.blockTimeMs,
      options.blockTimeIdleMs ?? options.blockTimeMs,
      () => mempool.size > 0,
    );
    const queue = new SerialQueue(MAX_QUEUED);
    return {
      options: { ...options, application },
      log,
      key,
      genesis,
      store,
      queue,
      mempool,
      executor,
      events,
      clock,
      chain: { state },
      failure,
    };
  } catch (error) {
    await store.close();
    throw error;
  }
}

/**
 * The same application, whose first exception is told. CometBFT exits when a call throws, whichever call it was; this engine
 * must not be the more patient one.
 */
function watched(application: Application): { application: Application; failure: Promise<unknown> } {
  const { promise, resolve } = Promise.withResolvers<unknown>();
  const get = (target: Application, name: keyof Application) => {
    const member: unknown = Reflect.get(target, name);
    if (typeof member !== "function") return member;
    return async (...request: unknown[]) => {
      try {
        return await member.apply(target, request);
      } catch (error) {
        resolve(error);
        throw error;
      }
    };
  };
  return { application: new Proxy(application, { get } as ProxyHandler<Application>), failure: promise };
}

function rpcContext(parts: Omit<Parts, "server">) {
  let address = "";
  const { options, queue, mempool, store, events, genesis, key, log, chain, clock } = parts;
  const value = {
    application: options.application,
    queue,
    mempool,
    store,
    events,
    genesis,
    key,
    log,
    state: () => chain.state,
    wake: () => clock.wake(),
    address: () => address,
  };
  const listening = (at: string): void => {
    address = at;
  };
  return { value, listening };
}

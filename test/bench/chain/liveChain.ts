/** A network of CometBFT validators on this machine, one of them in this process, as a chain that traffic is made for. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { DENOM, sha256, silentLogger, toBase64, toHex } from "@karat/common";
import type { ExecTxResult, RequestFinalizeBlock, ResponseFinalizeBlock } from "cosmjs-types/tendermint/abci/types";
import { createKaratApp, STORES } from "../../../chain/src/app/compose.ts";
import { blockContext } from "../../../chain/src/app/context.ts";
import type { KaratApp } from "../../../chain/src/app/karatApp.ts";
import type { Context } from "../../../chain/src/app/module.ts";
import { State } from "../../../chain/src/app/state.ts";
import { lastBlock } from "../../../chain/src/app/system.ts";
import {
  type Message,
  type Signer,
  signerOf,
  signTx,
  type TestParticipant,
  type TxOptions,
} from "../../../chain/src/app/testing/index.ts";
import { ensureNodeKey, homePaths, readValidatorKey } from "../../../chain/src/cli/home.ts";
import { type TestChain, testChain } from "../../../chain/src/cli/testing/nodes.ts";
import type { Application } from "../../../chain/src/engine/abci.ts";
import { CometEngine } from "../../../chain/src/engine/index.ts";
import { rpc } from "../../../chain/src/engine/testing/rpc-client.ts";
import { accountKeeper } from "../../../chain/src/modules/auth/index.ts";
import { LmdbCommitStore } from "../../../chain/src/store/index.ts";
import { CHAIN, type Kind, type TrafficChain } from "./traffic.ts";

const CHAIN_ID = "karat-bench-1";

/** A committed block as this process's validator executed it. */
export interface LiveBlock {
  readonly height: bigint;
  readonly timeMs: number;
  readonly txs: number;
  readonly bytes: number;
  /** Milliseconds in FinalizeBlock here. */
  readonly executeMs: number;
}

/** CPU seconds since a process started, by what it is. */
export interface CpuTimes {
  readonly applications: number;
  readonly comet: number;
  /** This process: one validator's application, and the traffic's signing and sending. */
  readonly here: number;
}

interface Waiting {
  readonly promise: Promise<ExecTxResult>;
  readonly resolve: (result: ExecTxResult) => void;
}

export class LiveChain implements TrafficChain {
  readonly chainId = CHAIN_ID;
  readonly participants: readonly TestParticipant[];
  readonly clients: readonly Signer[];
  readonly blocks: LiveBlock[] = [];
  readonly #dir: string;
  readonly #chain: TestChain;
  readonly #store: LmdbCommitStore;
  readonly #app: KaratApp;
  #engine: CometEngine | undefined;
  readonly #sequences = new Map<string, bigint>();
  /** For each signer the sending of what it has signed, one after the other, to one node: a sequence may not overtake another. */
  readonly #sending = new Map<string, { readonly url: string; last: Promise<void> }>();
  readonly #signerOf = new WeakMap<Uint8Array, string>();
  readonly #waiting = new Map<string, Waiting>();
  /** Gas by bytes of a transaction, by its message type: measured at the first. */
  readonly #gas = new Map<string, bigint>();

  static async open(blockTimeMs: number): Promise<LiveChain> {
    const dir = mkdtempSync(join(tmpdir(), "karat-bench-"));
    const clients = Array.from({ length: CHAIN.clients! }, (_, i) => signerOf(`client${i}`));
    const chain = await testChain({
      dir,
      chainId: CHAIN_ID,
      validators: 4,
      participants: CHAIN.participants!,
      blockTimeMs,
      genesis: {
        accounts: [...clients.map(({ address }) => ({ address, amount: 10n ** 9n })), ...(CHAIN.accounts ?? [])],
        deposits: clients.map(({ address }) => ({ client: address, available: CHAIN.clientDeposit! })),
        params: CHAIN.params!,
      },
    });
    const live = new LiveChain(dir, chain, clients);
    await live.#start();
    return live;
  }

  private constructor(dir: string, chain: TestChain, clients: readonly Signer[]) {
    this.#dir = dir;
    this.#chain = chain;
    this.participants = chain.participants;
    this.clients = clients;
    const path = homePaths(chain.nodes[0]!.options.home).state;
    mkdirSync(path, { recursive: true });
    this.#store = LmdbCommitStore.open({ path, ...STORES });
    this.#app = createKaratApp({ store: this.#store, log: silentLogger, chainId: CHAIN_ID });
  }

  async #start(): Promise<void> {
    const [own, ...others] = this.#chain.nodes;
    const { home, rpcPort, p2pPort, peers, blockTimeMs } = own!.options;
    for (const node of others) node.launch();
    this.#engine = await CometEngine.open({
      openApplication: async () => this.#watched(),
      genesis: this.#chain.genesis,
      dir: homePaths(home).comet,
      validatorKey: (await readValidatorKey(home)).seed,
      // The home's own key names the node to its peers.
      nodeKey: (await ensureNodeKey(home)).seed,
      rpc: { host: "127.0.0.1", port: rpcPort },
      p2p: { host: "127.0.0.1", port: p2pPort, persistentPeers: peers },
      blockTimeMs,
      startTimeoutMs: 180_000,
      maxRestarts: 0,
    });
    await Promise.all(others.map((node) => node.listening()));
  }

  get height(): bigint {
    return this.#store.height();
  }

  read<T>(run: (ctx: Context) => T): T {
    const state = State.of(this.#store);
    return run(blockContext(lastBlock(state, CHAIN_ID), state));
  }

  /** Signs with the next sequence. A free transaction's gas is what simulation finds, by its size, and half as much again. */
  tx(signer: Signer | readonly Signer[], messages: Message | readonly Message[], options: TxOptions = {}): Uint8Array {
    const signers = "address" in signer ? [signer] : signer;
    const list = "typeUrl" in messages ? [messages] : messages;
    const accounts = signers.map(({ address }) => {
      const account = this.read((ctx) => accountKeeper.get(ctx, address))!;
      const sequence = this.#sequences.get(address) ?? account.sequence;
      this.#sequences.set(address, sequence + 1n);
      return { accountNumber: account.accountNumber, sequence };
    });
    const fee = options.free ? [] : [{ denom: DENOM, amount: (options.fee ?? 0n).toString() }];
    const sign = (gasLimit: bigint) => {
      const tx = signTx(signers, list, { chainId: CHAIN_ID, accounts, fee, gasLimit });
      this.#signerOf.set(tx, signers[0]!.address);
      return tx;
    };
    if (!options.free) return sign(options.gasLimit ?? 200_000n);
    const draft = sign(1_000_000n);
    const type = list[0]!.typeUrl;
    let perByte = this.#gas.get(type);
    if (perByte === undefined) {
      const { code, log, gasUsed } = this.#app.simulate(draft);
      if (code !== 0) throw new Error(`${type} cannot be simulated: ${log}`);
      perByte = gasUsed / BigInt(draft.length) + 1n;
      this.#gas.set(type, perByte);
    }
    return sign(50_000n + (perByte * BigInt(draft.length) * 3n) / 2n);
  }

  /** Sends them and waits until this validator has executed them. Expects to be called with what `tx` has made before anything else is. */
  async commit(txs: readonly Uint8Array[], _kind: Kind, _records: number): Promise<readonly ExecTxResult[]> {
    const results = txs.map((tx) => this.#expect(tx));
    const { nodes } = this.#chain;
    const sent = txs.map((tx) => {
      const signer = this.#signerOf.get(tx)!;
      const url = nodes[this.#sending.size % nodes.length]!.rpc;
      const queue = this.#sending.get(signer) ?? { url, last: Promise.resolve() };
      this.#sending.set(signer, queue);
      queue.last = queue.last.then(() => this.#send(tx, queue.url));
      return queue.last;
    });
    await Promise.all(sent);
    return Promise.all(results);
  }

  async #send(tx: Uint8Array, url: string): Promise<void> {
    const { result, error } = await patiently(() => rpc(url, "broadcast_tx_sync", { tx: toBase64(tx) }));
    // What was sent twice had arrived the first time.
    if (error?.data === "tx already exists in cache") return;
    const { code, log } = (result ?? { code: -1, log: JSON.stringify(error) }) as { code: number; log: string };
    if (code !== 0) throw new Error(`a transaction was refused: ${code} ${log}`);
  }

  #expect(tx: Uint8Array): Promise<ExecTxResult> {
    const { promise, resolve } = Promise.withResolvers<ExecTxResult>();
    this.#waiting.set(toHex(sha256(tx)), { promise, resolve });
    return promise;
  }

  /** The application, which tells of the blocks it commits. */
  #watched(): Application {
    const app: Application = this.#app;
    let executed: { request: RequestFinalizeBlock; response: ResponseFinalizeBlock; ms: number } | undefined;
    const overrides: Partial<Application> = {
      finalizeBlock: async (request) => {
        const began = performance.now();
        const response = await app.finalizeBlock(request);
        executed = { request, response, ms: performance.now() - began };
        return response;
      },
      commit: async (request) => {
        const answer = await app.commit(request);
        if (executed !== undefined) this.#committed(executed.request, executed.response, executed.ms);
        return answer;
      },
    };
    return new Proxy(app, {
      get(target, name) {
        const member: unknown = Reflect.get(overrides, name) ?? Reflect.get(target, name);
        return typeof member === "function" ? member.bind(target) : member;
      },
    });
  }

  #committed(
    { height, time, txs }: RequestFinalizeBlock,
    { txResults }: ResponseFinalizeBlock,
    executeMs: number,
  ): void {
    const bytes = txs.reduce((sum, tx) => sum + tx.length, 0);
    const timeMs = Number(time.seconds) * 1_000 + time.nanos / 1e6;
    this.blocks.push({ height, timeMs, txs: txs.length, bytes, executeMs });
    for (const [i, tx] of txs.entries()) {
      const key = toHex(sha256(tx));
      this.#waiting.get(key)?.resolve(txResults[i]!);
      this.#waiting.delete(key);
    }
  }

  cpu(): CpuTimes {
    const { user, system } = process.cpuUsage();
    const nodes = this.#chain.nodes;
    const comets = nodes.map(({ options }) =>
      Number(readFileSync(join(homePaths(options.home).comet, "cometbft.pid"), "utf8")),
    );
    const sum = (pids: readonly number[]) => pids.reduce((total, pid) => total + cpuSecondsOf(pid), 0);
    return {
      applications: sum(nodes.flatMap(({ pid }) => (pid === undefined ? [] : [pid]))),
      comet: sum(comets),
      here: (user + system) / 1e6,
    };
  }

  /** App hashes that the validators have of a height; more than one is a fork. */
  async appHashes(height: bigint): Promise<Set<string>> {
    const hashes = await Promise.all(
      this.#chain.nodes.map(async (node) => {
        const { result } = await rpc(node.rpc, "header", { height: height.toString() });
        return (result as { header: { app_hash: string } }).header.app_hash;
      }),
    );
    return new Set(hashes);
  }

  async close(): Promise<void> {
    await this.#chain.close();
    await this.#engine?.stop();
    this.#store.close();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

/** A node closes connections that were idle for long, at times just when one is used again. */
async function patiently<T>(call: () => Promise<T>, attempts = 3): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (attempts <= 1) throw error;
    await sleep(500);
    return patiently(call, attempts - 1);
  }
}

/** From /proc, in which a second has 100 ticks. */
function cpuSecondsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

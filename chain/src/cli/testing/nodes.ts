/** Nodes as processes of their own, for tests and benchmarks: homes of one chain, and starting, killing and starting again. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { sha256, utf8 } from "@karat/common";
import { buildGenesis, type GenesisOptions } from "../../app/genesis.ts";
import { TEST_MODEL, type TestParticipant, testParticipant } from "../../app/testing/index.ts";
import { freePort } from "../../engine/cometbft/free-port.ts";
import { ed25519Key, type GenesisJson, nodeIdOf } from "../../engine/index.ts";
import { LOCALNET_PARAMS } from "../../modules/params/index.ts";
import { ensureNodeKey, writeHomeGenesis, writeValidatorKey } from "../home.ts";

export const MAIN = fileURLToPath(new URL("../../main.ts", import.meta.url));
/** Of the application's next version. */
export const NEXT_VERSION = fileURLToPath(new URL("./nextVersion.ts", import.meta.url));

/** The seed of a test participant's consensus key. */
export const consensusSeedOf = (index: number): Uint8Array => sha256(utf8(`karat test consensus key ${index}`));

export interface NodeOptions {
  readonly home: string;
  readonly engine: "solo" | "cometbft";
  readonly blockTimeMs: number;
  readonly rpcPort: number;
  readonly p2pPort: number;
  /** `id@host:port` of the others. */
  readonly peers: readonly string[];
}

/** One node: its home, and the process that runs on it. */
export class TestNode {
  readonly options: NodeOptions;
  readonly #output: string[] = [];
  #child: ChildProcess | undefined;
  #exited: Promise<unknown> = Promise.resolve();

  constructor(options: NodeOptions) {
    this.options = options;
  }

  get rpc(): string {
    return `http://127.0.0.1:${this.options.rpcPort}`;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Starts the process; `listening` tells when it answers. */
  launch(more: readonly string[] = [], script = MAIN, env: NodeJS.ProcessEnv = {}): void {
    const { home, engine, blockTimeMs, rpcPort, p2pPort, peers } = this.options;
    const network = engine === "solo" ? [] : ["--p2p", `127.0.0.1:${p2pPort}`, "--peers", peers.join(",")];
    const args = ["--home", home, "--engine", engine, "--rpc", `127.0.0.1:${rpcPort}`, ...network];
    const times = ["--block-time-ms", String(blockTimeMs), "--log-level", "warn"];
    const child = spawn(process.execPath, [script, "start", ...args, ...times, ...more], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...env },
    });
    this.#child = child;
    this.#exited = once(child, "exit");
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream! }).on("line", (line) => {
        this.#output.push(line);
        if (this.#output.length > 200) this.#output.shift();
      });
    }
  }

  /** Resolves when the RPC answers; rejects with what the process said where it ends before. */
  async listening(timeoutMs = 120_000): Promise<void> {
    const until = Date.now() + timeoutMs;
    for (;;) {
      if (this.#output.some((line) => line.startsWith('{"event":"listening"'))) return;
      const { exitCode, signalCode } = this.#child!;
      if (exitCode !== null || signalCode !== null) throw new Error(`the node ended:\n${this.output}`);
      if (Date.now() > until) throw new Error(`the node does not listen:\n${this.output}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async start(more: readonly string[] = []): Promise<void> {
    this.launch(more);
    await this.listening();
  }

  /** Resolves when the process has ended, by itself or by a signal sent to it. */
  async ended(): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
    await this.#exited;
    const { exitCode, signalCode } = this.#child!;
    this.#output.length = 0;
    return { code: exitCode, signal: signalCode };
  }

  async end(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    if (this.#child === undefined) return;
    this.#child.kill(signal);
    await this.ended();
  }

  get output(): string {
    return this.#output.join("\n");
  }
}

export interface TestChainOptions {
  /** Where the homes are made. */
  readonly dir: string;
  readonly chainId: string;
  readonly validators: number;
  /** Nodes that only follow. */
  readonly followers?: number;
  readonly engine?: "solo" | "cometbft";
  readonly blockTimeMs: number;
  readonly genesis?: Partial<GenesisOptions>;
  /** Participants beside the validators, without a consensus key. */
  readonly participants?: number;
}

export interface TestChain {
  readonly genesis: GenesisJson;
  /** The validators first. */
  readonly nodes: readonly TestNode[];
  readonly participants: readonly TestParticipant[];
  /** Ends every process that was started here. */
  close(): Promise<void>;
}

/** Homes of one chain on free ports, nothing started. The validators are the participants of the test harness. */
export async function testChain(options: TestChainOptions): Promise<TestChain> {
  const { dir, validators, blockTimeMs, engine = "cometbft" } = options;
  const participants = Array.from({ length: Math.max(validators, options.participants ?? 0) }, (_, i) =>
    testParticipant(i),
  );
  const genesis = buildGenesis({
    chainId: options.chainId,
    timeMs: Date.now(),
    params: LOCALNET_PARAMS,
    models: [TEST_MODEL],
    participants: participants.map((each, index) => ({
      operator: each.operator.address,
      nodeKey: each.node.publicKey,
      validatorAddress: each.validator.address,
      consensusKey: index < validators ? each.consensusKey : new Uint8Array(),
      url: `http://127.0.0.1:${9_000 + index}`,
      collateral: 1_000_000_000n,
      offers: [{ model: TEST_MODEL.id, inputPrice: 1n, outputPrice: 2n, capacity: 100n }],
    })),
    ...options.genesis,
  });
  const count = validators + (options.followers ?? 0);
  const made = await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const home = join(dir, `node${index}`);
      mkdirSync(home, { recursive: true });
      await writeValidatorKey(home, consensusSeedOf(index));
      await writeHomeGenesis(home, genesis);
      const id = nodeIdOf(ed25519Key((await ensureNodeKey(home)).seed));
      return { home, id, rpcPort: await freePort("127.0.0.1"), p2pPort: await freePort("127.0.0.1") };
    }),
  );
  const nodes = made.map(({ id: own, ...node }) => {
    const peers = made.flatMap(({ id, p2pPort }) => (id === own ? [] : [`${id}@127.0.0.1:${p2pPort}`]));
    return new TestNode({ ...node, engine, blockTimeMs, peers });
  });
  return {
    genesis,
    nodes,
    participants,
    close: async () => void (await Promise.all(nodes.map((node) => node.end("SIGKILL")))),
  };
}

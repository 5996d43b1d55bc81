import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import type { params } from "@karat/proto";
import { writeChainHome, writeGenesis } from "./genesis.ts";
import {
  apiKeyOf,
  type ChainPlan,
  chainPlan,
  makePlan,
  type NetworkPlan,
  planFile,
  processFile,
  readPlan,
  readProcesses,
  requireFree,
  requireFreePorts,
  rpcOf,
  url,
  writeJson,
} from "./layout.ts";
import { type NetworkOptions, UsageError } from "./options.ts";
import { endProcesses, isAlive, type ProcessRef, startProcess } from "./processes.ts";
import { untilReady } from "./readiness.ts";
import {
  type Attack,
  apiService,
  chainServices,
  mlService,
  redisService,
  type Service,
  sidecarService,
} from "./services.ts";

/** A network in one directory: what it consists of, what of it runs, and the ways to start and end it. */
export class Network {
  readonly dir: string;
  #plan: NetworkPlan;
  #processes: ProcessRef[];

  private constructor(dir: string, plan: NetworkPlan) {
    this.dir = dir;
    this.#plan = plan;
    this.#processes = readProcesses(dir);
  }

  /** The network of a directory; undefined where there is none. */
  static open(dir: string): Network | undefined {
    const plan = readPlan(dir);
    return plan && new Network(dir, plan);
  }

  /** Makes keys and genesis, with parameters changed for a test. Throws UsageError when ports are taken. */
  static async create(options: NetworkOptions, change: Partial<params.Params> = {}): Promise<Network> {
    const { dir } = options;
    if (existsSync(planFile(dir))) throw new UsageError(`${dir} holds a network already`);
    mkdirSync(dir, { recursive: true });
    const draft = makePlan(dir, options);
    await requireFreePorts(draft);
    const plan = { ...draft, ...(await writeGenesis(dir, draft, change)) };
    writeJson(planFile(dir), plan);
    return new Network(dir, plan);
  }

  get plan(): NetworkPlan {
    return this.#plan;
  }

  get apiKey(): string {
    return apiKeyOf(this.dir);
  }

  get endpoint(): string {
    return `${url(this.plan.participants[0]!.ports.api)}/v1`;
  }

  get processes(): readonly (ProcessRef & { readonly alive: boolean })[] {
    return this.#processes.map((ref) => ({ ...ref, alive: isAlive(ref) }));
  }

  /** Starts what does not run, in order; `report` hears of each step. */
  async start(report: (line: string) => void): Promise<void> {
    const { dir, plan } = this;
    const redis = redisService(dir, plan);
    const stages: [string, Service[]][] = [
      ...(redis ? [["Redis answers", [redis]] as [string, Service[]]] : []),
      [`the chain makes blocks (${plan.engine})`, this.chains()],
      [
        `${plan.participants.length} ML nodes have loaded ${plan.model}`,
        plan.participants.map((p) => mlService(dir, plan, p)),
      ],
      ["their API nodes are ready", plan.participants.map((p) => apiService(dir, plan, p))],
      ["their sidecars follow the chain", plan.participants.map((p) => sidecarService(dir, plan, p))],
    ];
    for (const [what, services] of stages) {
      const began = Date.now();
      await Promise.all(services.map((service) => this.run(service)));
      report(`✓ ${what} (${((Date.now() - began) / 1000).toFixed(1)} s)`);
    }
  }

  /** The chain nodes: one, or one for each participant. */
  chains(): Service[] {
    return chainServices(this.dir, this.plan, this.plan.nodeIds ?? []);
  }

  /**
   * Adds a chain node that takes part in no votes, and starts it: by state sync from the first two nodes, which needs no block
   * of the past. Throws UsageError with the solo engine, which has no peers.
   */
  async join(): Promise<ChainPlan> {
    const { dir, plan } = this;
    if (plan.engine !== "cometbft") throw new UsageError("the solo engine has no peers: start with --engine cometbft");
    const joined = chainPlan(plan.portBase, plan.chains.length);
    await requireFree(Object.values(joined.ports), plan.portBase);
    const nodeId = await writeChainHome(dir, joined.index);
    const nodeIds = [...(plan.nodeIds ?? []), nodeId];
    this.#plan = { ...plan, chains: [...plan.chains, joined], nodeIds };
    writeJson(planFile(dir), this.#plan);
    const servers = [rpcOf(plan, 0), rpcOf(plan, 1)];
    await this.run(chainServices(dir, this.#plan, nodeIds, servers)[joined.index]!);
    return joined;
  }

  /** Starts one service unless it runs, and waits until it is ready. */
  async run(service: Service): Promise<void> {
    const running = this.#processes.find((ref) => ref.name === service.spec.name && isAlive(ref));
    const ref = running ?? startProcess(service.spec);
    if (!running) this.#record([...this.#processes.filter((other) => other.name !== ref.name), ref]);
    await untilReady(ref, service.ready);
  }

  /** Ends one process by its name. */
  async end(name: string): Promise<void> {
    await endProcesses(this.#processes.filter((ref) => ref.name === name));
    this.#record(this.#processes.filter((ref) => ref.name !== name));
  }

  /** Restarts one participant's ML node, honest or not. */
  async replaceMl(index: number, attack?: Attack): Promise<void> {
    await this.end(`ml-${index}`);
    await this.run(mlService(this.dir, this.plan, this.plan.participants[index]!, attack));
  }

  /** Ends everything that was started here, clients of the chain first, Redis last. */
  async stop(): Promise<void> {
    const order = ["sidecar", "api", "ml", "chain", "redis"];
    for (const kind of order) {
      await endProcesses(this.#processes.filter((ref) => ref.name.split("-")[0] === kind));
    }
    this.#record([]);
  }

  logOf(name: string): string {
    return join(this.dir, "logs", `${name}.log`);
  }

  #record(processes: ProcessRef[]): void {
    this.#processes = processes;
    writeJson(processFile(this.dir), processes);
  }
}

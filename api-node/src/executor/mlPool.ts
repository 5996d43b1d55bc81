import { KaratError, type Logger, messageOf } from "@karat/common";
import { type ArtifactCoding, decodeArtifact } from "@karat/rules";
import { type MlModel, MlNode, type PromptBody, type TokenCount } from "./mlNode.ts";

export interface MlPoolOptions {
  readonly log: Logger;
  /** Longest silence of an ML node within an answer. */
  readonly idleMs: number;
  readonly healthIntervalMs?: number;
  readonly healthTimeoutMs?: number;
}

export interface MlNodeConfig {
  readonly url: string;
  readonly token?: string;
  /** Default true. */
  readonly enabled?: boolean;
}

export interface MlNodeState {
  readonly url: string;
  readonly models: readonly MlModel[];
  readonly healthy: boolean;
  /** Disabled nodes get no work; what runs on them goes on, so that disabling is also draining. */
  readonly enabled: boolean;
  readonly running: number;
  readonly error: string | undefined;
}

interface Member {
  readonly node: MlNode;
  readonly config: MlNodeConfig;
  models: readonly MlModel[];
  healthy: boolean;
  enabled: boolean;
  running: number;
  error: string | undefined;
}

export interface Lease {
  readonly node: MlNode;
  readonly model: MlModel;
  /** Ends the lease; a node that `failed` gets no work until it answers a health check. */
  release(failed?: boolean): void;
}

/** What ML nodes use for a model that has no calibrated profile. */
const DEFAULT_CODING: ArtifactCoding = { step: "1/128", k: 5 };
const MAX_NODES = 256;

/** A node's URL written in one way only: one with a slash at its end is no second node with a capacity of its own. */
export const plainUrl = (url: string): string => (URL.canParse(url) ? new URL(url).href.replace(/\/$/, "") : url);

/** The ML nodes of this participant: what they serve, which of them answer, and which is least loaded. */
export class MlPool {
  readonly #options: Required<MlPoolOptions>;
  readonly #members = new Map<string, Member>();
  /** Removed, but answers still run on them. */
  readonly #leaving = new Set<Member>();
  /** By model, read off artifacts of its ML nodes that do not say how they code. */
  readonly #codings = new Map<string, ArtifactCoding>();
  readonly #stop = new AbortController();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: MlPoolOptions) {
    this.#options = { healthIntervalMs: 2_000, healthTimeoutMs: 2_000, ...options };
  }

  /** First health check of all nodes, then one every interval. */
  async start(): Promise<void> {
    await this.#checkAll();
    const again = (): void => {
      this.#timer = setTimeout(() => void this.#checkAll().finally(again), this.#options.healthIntervalMs).unref();
    };
    if (!this.#stop.signal.aborted) again();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    clearTimeout(this.#timer);
    await Promise.all([...this.#members.values(), ...this.#leaving].map(({ node }) => node.close()));
  }

  /** Adds a node and checks it once; one that is there stays, unless its token is another: what runs on it with the old one ends first. Throws `invalid_request` when the URL is none or the list is full. */
  async add(given: MlNodeConfig): Promise<void> {
    if (!URL.canParse(given.url) || !/^https?:/.test(given.url)) {
      throw new KaratError("invalid_request", "Not the URL of an ML node.", { param: "url" });
    }
    const config = { ...given, url: plainUrl(given.url) };
    const known = this.#members.get(config.url);
    if (known && known.config.token === config.token) return;
    if (!known && this.#members.size >= MAX_NODES) {
      throw new KaratError("invalid_request", `There are ${MAX_NODES} ML nodes: remove one first.`, { param: "url" });
    }
    const node = new MlNode({ ...config, idleMs: this.#options.idleMs });
    const member: Member = {
      node,
      config,
      models: [],
      healthy: false,
      enabled: config.enabled ?? known?.enabled ?? true,
      running: 0,
      error: undefined,
    };
    this.#members.set(config.url, member);
    if (known) await this.#retire(known);
    await this.#check(member);
  }

  /** It gets no more work; what runs on it ends first. */
  async remove(url: string): Promise<void> {
    const member = this.#required(url);
    this.#members.delete(member.config.url);
    await this.#retire(member);
  }

  async #retire(member: Member): Promise<void> {
    this.#leaving.add(member);
    await this.#leave(member);
  }

  async #leave(member: Member): Promise<void> {
    if (member.running === 0 && this.#leaving.delete(member)) await member.node.close();
  }

  setEnabled(url: string, enabled: boolean): void {
    this.#required(url).enabled = enabled;
  }

  /** What is intended, for keeping: nodes with their tokens, and which of them are to work. */
  configs(): MlNodeConfig[] {
    return [...this.#members.values()].map(({ config, enabled }) => ({ ...config, enabled }));
  }

  states(): MlNodeState[] {
    return [...this.#members.values()].map(({ node, models, healthy, enabled, running, error }) => {
      return { url: node.url, models, healthy, enabled, running, error };
    });
  }

  /** The model as one of the usable nodes declares it. */
  model(id: string): MlModel | undefined {
    return this.#usable(id)[0]?.models.find((model) => model.id === id);
  }

  /** Prompt tokens as the model's own tokeniser counts them; undefined when no node here serves the model. */
  async countTokens(model: string, input: PromptBody): Promise<TokenCount | undefined> {
    const [member] = this.#usable(model);
    if (!member) return undefined;
    return await member.node.countTokens(input, AbortSignal.timeout(this.#options.idleMs));
  }

  /** How artifacts of a model are coded: as its nodes say, else as they were seen to. */
  coding(model: string): ArtifactCoding {
    return this.model(model)?.artifact ?? this.#codings.get(model) ?? DEFAULT_CODING;
  }

  /** Takes the coding from an artifact that an ML node made of `length` tokens. Throws RuleError `invalid_artifact` when it is none. */
  learnCoding(model: MlModel, artifact: Uint8Array, length: number): void {
    if (model.artifact || this.#codings.has(model.id)) return;
    const { step, k } = decodeArtifact(artifact, { length, vocabularySize: model.vocabulary_size });
    this.#codings.set(model.id, { step, k });
  }

  /**
   * The least loaded usable node, not among `without`; undefined when all are full: each takes its capacity and as much again in its queue.
   * With `dimensions`, only nodes that give vectors of so many.
   */
  lease(model: string, without: ReadonlySet<MlNode> = new Set(), dimensions?: number): Lease | undefined {
    let best: { member: Member; model: MlModel; load: number } | undefined;
    for (const member of this.#usable(model)) {
      if (without.has(member.node)) continue;
      const served = member.models.find(({ id }) => id === model)!;
      if (dimensions !== undefined && served.embedding?.dimensions !== dimensions) continue;
      const load = member.running / served.capacity;
      if (load < 2 && (!best || load < best.load)) best = { member, model: served, load };
    }
    if (!best) return undefined;
    const { member } = best;
    member.running++;
    let held = true;
    return {
      node: member.node,
      model: best.model,
      release: (failed = false) => {
        if (!held) return;
        held = false;
        member.running--;
        if (failed) member.healthy = false;
        void this.#leave(member);
      },
    };
  }

  #usable(model: string): Member[] {
    return [...this.#members.values()].filter(
      ({ healthy, enabled, models }) => healthy && enabled && models.some(({ id }) => id === model),
    );
  }

  #required(url: string): Member {
    const member = this.#members.get(plainUrl(url));
    if (!member) throw new KaratError("not_found", "There is no ML node with this URL.", { url });
    return member;
  }

  async #checkAll(): Promise<void> {
    await Promise.all([...this.#members.values()].map((member) => this.#check(member)));
  }

  async #check(member: Member): Promise<void> {
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(this.#options.healthTimeoutMs)]);
    try {
      member.models = await member.node.models(signal);
      if (!member.healthy) this.#options.log.info({ url: member.node.url }, "An ML node answers.");
      member.healthy = true;
      member.error = undefined;
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      if (member.healthy) this.#options.log.warn({ url: member.node.url }, "An ML node does not answer.");
      member.healthy = false;
      member.error = messageOf(error);
    }
  }
}

import { setTimeout as sleep } from "node:timers/promises";
import { type ChainClient, type FollowedBlock, followBlocks } from "@karat/client";
import { KaratError, type Logger, messageOf } from "@karat/common";
import type { deposit, epoch, params, participant } from "@karat/proto";
import { DepositCache } from "./deposits.ts";
import type { ChainView } from "./view.ts";

export interface FollowingViewOptions {
  readonly connect: () => Promise<ChainClient>;
  readonly log: Logger;
  readonly pollMs?: number;
  /** Where following begins after a restart, so that listeners miss no block; `save` is called after them. */
  readonly cursor: { load(): bigint | undefined; save(height: bigint): void };
}

/** Everything is read anew after this many blocks, should an event have been misread. */
const REFRESH_BLOCKS = 50n;
/** Blocks that listeners are shown after a long absence; older ones are gone from most nodes anyway. */
const MAX_CATCH_UP = 5_000n;
const RETRY_MS = 1_000;
/** Prefixes of events after which participants, epochs or parameters are read anew. */
const CHANGING = ["participant", "epoch", "params", "rewards_settled", "standing_changed"];

interface State {
  readonly params: params.Params;
  readonly models: readonly params.Model[];
  readonly participants: ReadonlyMap<string, participant.Participant>;
  /** Current epoch first, then its predecessor. */
  readonly epochs: readonly epoch.Epoch[];
  readonly height: bigint;
}

/** The view of a node that follows its chain block by block. */
export class FollowingView implements ChainView {
  readonly #options: FollowingViewOptions;
  readonly #beacons = new Map<bigint, Uint8Array>();
  readonly #listeners = new Set<(block: FollowedBlock) => void>();
  readonly #waiting = new Set<() => void>();
  readonly #deposits: DepositCache;
  readonly #stop = new AbortController();
  #client: ChainClient | undefined;
  #state: State | undefined;
  #height = 0n;
  #running: Promise<void> | undefined;

  constructor(options: FollowingViewOptions) {
    this.#options = options;
    this.#deposits = new DepositCache({
      query: (client) => this.client.query.deposit(client),
      height: () => this.#height,
    });
  }

  /** Begins to follow; resolves at once, also while the chain does not answer. */
  start(): void {
    this.#running ??= this.#run();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    this.#client?.close();
  }

  /** For what is not on the hot path. Throws `chain_unavailable` before the first connection. */
  get client(): ChainClient {
    if (!this.#client) throw unavailable();
    return this.#client;
  }

  get chainId(): string {
    return this.client.chainId;
  }

  get ready(): boolean {
    return this.#state !== undefined && this.#height > 0n;
  }

  height(): bigint {
    if (!this.ready) throw unavailable();
    return this.#height;
  }

  beacon(height: bigint): Uint8Array | undefined {
    return this.#beacons.get(height);
  }

  async awaitBeacon(height: bigint, timeoutMs: number): Promise<Uint8Array | undefined> {
    const until = performance.now() + timeoutMs;
    while (!this.#beacons.has(height) && height > this.#height) {
      const left = until - performance.now();
      if (left <= 0 || this.#stop.signal.aborted) return undefined;
      await this.nextBlock(left);
    }
    return this.#beacons.get(height);
  }

  epochAt(height: bigint): epoch.Epoch | undefined {
    return this.#known().epochs.find(({ startHeight, endHeight }) => startHeight <= height && height <= endHeight);
  }

  params(): params.Params {
    return this.#known().params;
  }

  models(): readonly params.Model[] {
    return this.#known().models;
  }

  participant(operator: string): participant.Participant | undefined {
    return this.#known().participants.get(operator);
  }

  participants(): readonly participant.Participant[] {
    return [...this.#known().participants.values()];
  }

  deposit(client: string, needed: bigint): Promise<deposit.Deposit | undefined> {
    return this.#deposits.get(client, needed);
  }

  onBlock(listener: (block: FollowedBlock) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Resolves with the next block, after `withinMs`, or when the signal is aborted. */
  async nextBlock(withinMs: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return;
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", wake);
        this.#waiting.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, withinMs);
      signal?.addEventListener("abort", wake);
      this.#waiting.add(wake);
    });
  }

  #known(): State {
    if (!this.#state) throw unavailable();
    return this.#state;
  }

  async #run(): Promise<void> {
    const { log } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        this.#client ??= await this.#options.connect();
        await this.#refresh();
        await this.#follow(this.#client);
      } catch (error) {
        if (signal.aborted) return;
        log.warn({ error: messageOf(error) }, "The chain cannot be followed; trying again.");
        await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  async #follow(client: ChainClient): Promise<void> {
    const { log, pollMs, cursor } = this.#options;
    const { signal } = this.#stop;
    const { height: head } = await client.status();
    await this.#loadBeacons(client, head);
    const seen = cursor.load();
    const begin = seen !== undefined && head - seen <= MAX_CATCH_UP && seen < head ? seen : head;
    let last = begin;
    const blocks = followBlocks({
      client,
      cursor: {
        load: () => last,
        save: (height) => {
          last = height;
          cursor.save(height);
        },
      },
      signal,
      log,
      ...(pollMs === undefined ? {} : { pollMs }),
    });
    for await (const block of blocks) await this.#take(client, block);
  }

  async #take(client: ChainClient, block: FollowedBlock): Promise<void> {
    const state = this.#known();
    if (block.height > this.#height) {
      await this.#loadBeacon(client, block.height);
      const current = state.epochs[0];
      const changed =
        [...block.events, ...block.txs.flatMap(({ events }) => events)].some(({ type }) =>
          CHANGING.some((prefix) => type.startsWith(prefix)),
        ) ||
        (current !== undefined && block.height > current.endHeight) ||
        block.height - state.height >= REFRESH_BLOCKS;
      if (changed) await this.#refresh();
      this.#height = block.height;
      this.#prune();
    }
    for (const listener of this.#listeners) listener(block);
    for (const wake of this.#waiting) wake();
  }

  async #refresh(): Promise<void> {
    const { query } = this.client;
    const [chainParams, models, participants, current, { height }] = await Promise.all([
      query.params(),
      query.models(),
      query.participants(),
      query.epoch(),
      this.client.status(),
    ]);
    if (!current) throw unavailable();
    const previous = current.number > 0n ? await query.epoch(current.number - 1n) : undefined;
    this.#state = {
      params: chainParams,
      models,
      participants: new Map(participants.map((one) => [one.operator, one])),
      epochs: previous ? [current, previous] : [current],
      height,
    };
  }

  /** Those of the recent heights, at the start. */
  async #loadBeacons(client: ChainClient, head: bigint): Promise<void> {
    const first = head - this.#known().params.maxAnchorAge;
    for (let height = first > 0n ? first : 1n; height <= head; height++) {
      const answer = await client.query.beacon(height);
      if (answer && answer.height === height) this.#beacons.set(height, answer.beacon);
    }
    if (this.#beacons.has(head)) this.#height = head;
  }

  /** A block may be readable a moment before the state behind it is committed. */
  async #loadBeacon(client: ChainClient, height: bigint): Promise<void> {
    for (let tries = 0; tries < 40; tries++) {
      const answer = await client.query.beacon(height);
      if (answer && answer.height === height) {
        this.#beacons.set(height, answer.beacon);
        return;
      }
      await sleep(50, undefined, { signal: this.#stop.signal });
    }
    throw new KaratError("chain_unavailable", "The chain has no beacon for its newest height.", { height });
  }

  #prune(): void {
    // An answer may be continued for as long as its first executor has for it.
    const { maxAnchorAge, inferenceDeadline } = this.#known().params;
    const oldest = this.#height - (maxAnchorAge > inferenceDeadline ? maxAnchorAge : inferenceDeadline) - 10n;
    for (const height of this.#beacons.keys()) if (height < oldest) this.#beacons.delete(height);
  }
}

const unavailable = (): KaratError =>
  new KaratError("chain_unavailable", "The chain was not reached yet. Try again in a moment.", { retry_after_s: 2 });

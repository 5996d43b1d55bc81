/** Two replicas that get the same blocks and live very different lives. */
import { rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { KaratError, toHex } from "@karat/common";
import { ResponseFinalizeBlock, ResponseProcessProposal_ProposalStatus } from "cosmjs-types/tendermint/abci/types";
import { STORES } from "../../chain/src/app/compose.ts";
import {
  chunkHash,
  exportSnapshot,
  LmdbCommitStore,
  MemoryCommitStore,
  SnapshotImport,
  snapshotOffer,
} from "../../chain/src/store/index.ts";
import type { Random } from "./random.ts";
import { type Genesis, Replica } from "./replica.ts";

/** What may happen to the replica on disk around a block. */
export type Disturbance = "none" | "reopen" | "crash" | "otherProposal" | "stateSync";

const DISTURBANCES: readonly { readonly weight: number; readonly value: Disturbance }[] = [
  { weight: 70, value: "none" },
  { weight: 10, value: "reopen" },
  { weight: 10, value: "crash" },
  { weight: 8, value: "otherProposal" },
  { weight: 2, value: "stateSync" },
];

const SNAPSHOT_CHUNK_BYTES = 20_000;
/** So short that records are written anew while they live. */
const JOURNAL_WINDOW = 20;

export interface ExecutedBlock {
  readonly height: bigint;
  readonly txs: readonly Uint8Array[];
  readonly response: ResponseFinalizeBlock;
  readonly disturbance: Disturbance;
  /** The block went through PrepareProposal and ProcessProposal. */
  readonly proposed: boolean;
}

/**
 * `memory` sees every transaction in CheckTx before its block and never stops; `disk` executes what it has never seen
 * and is restarted, crashed between FinalizeBlock and Commit, asked to execute another proposal first, and replaced by a
 * node that state sync has filled. A result that depends on a cache or on a leftover shows as a difference.
 */
export class Pair {
  readonly memory: Replica;
  #disk: Replica;
  readonly #folder: string;
  readonly #genesis: Genesis;
  #generation = 0;

  static async open(genesis: Genesis): Promise<Pair> {
    return new Pair(genesis, await mkdtemp(join(tmpdir(), "karat-simulation-")));
  }

  private constructor(genesis: Genesis, folder: string) {
    this.#genesis = genesis;
    this.#folder = folder;
    const store = new MemoryCommitStore({ ...STORES, journalWindow: JOURNAL_WINDOW, pruneKeep: 3 });
    this.memory = new Replica(genesis, () => store, true);
    this.#disk = this.#openDisk();
  }

  get disk(): Replica {
    return this.#disk;
  }

  close(): void {
    this.#disk.store.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Throws KaratError `replicas_differ` where anything that the replicas say of the block differs. */
  execute(mempool: readonly Uint8Array[], random: Random): ExecutedBlock {
    for (const tx of mempool) this.memory.app.checkTx({ tx, type: 0 });
    const proposed = random.percent(30);
    const txs = proposed ? this.#propose(mempool) : mempool;
    const disturbance = random.weighted(DISTURBANCES);
    if (disturbance === "reopen") this.#disk.restart();
    if (disturbance === "stateSync" && this.memory.store.height() > 0n) this.#stateSync();
    if (disturbance === "otherProposal") this.#disk.app.finalizeBlock(this.#disk.finalizeRequest(txs.slice(1)));
    const request = this.memory.finalizeRequest(txs);
    const expected = this.memory.app.finalizeBlock(request);
    let response = this.#disk.app.finalizeBlock(this.#disk.finalizeRequest(txs));
    if (disturbance === "crash") {
      this.#same(expected, response, request.height);
      this.#disk.restart();
      response = this.#disk.app.finalizeBlock(this.#disk.finalizeRequest(txs));
    }
    this.#same(expected, response, request.height);
    this.memory.app.commit();
    this.#disk.app.commit();
    const hashes = [this.memory, this.#disk].map(({ store }) => toHex(store.appHash()));
    if (hashes[0] !== hashes[1]) throw differ("committed app hashes", request.height, hashes);
    return { height: request.height, txs, response: expected, disturbance, proposed };
  }

  /** What the replica that has checked them all proposes, the other must accept. */
  #propose(mempool: readonly Uint8Array[]): Uint8Array[] {
    const txs = this.memory.prepare(mempool);
    const { status } = this.#disk.process(txs);
    if (status !== ResponseProcessProposal_ProposalStatus.ACCEPT) {
      throw differ("a prepared proposal was rejected", this.memory.next, [txs.map(toHex)]);
    }
    return txs;
  }

  #same(a: ResponseFinalizeBlock, b: ResponseFinalizeBlock, height: bigint): void {
    const [left, right] = [a, b].map((each) => ResponseFinalizeBlock.encode(each).finish());
    if (Buffer.compare(left!, right!) !== 0) throw differ("responses to FinalizeBlock", height, [a, b]);
  }

  #openDisk(): Replica {
    const path = join(this.#folder, String(this.#generation));
    return new Replica(
      this.#genesis,
      () => LmdbCommitStore.open({ path, ...STORES, journalWindow: JOURNAL_WINDOW, pruneKeep: 3 }),
      false,
    );
  }

  /** A new node takes the place of the one on disk, with the state of the other. */
  #stateSync(): void {
    const { store } = this.memory;
    const chunks = [...exportSnapshot(store, store.height(), SNAPSHOT_CHUNK_BYTES)].map((chunk) => chunk.slice());
    this.#disk.store.close();
    this.#generation++;
    const path = join(this.#folder, String(this.#generation));
    const fresh = LmdbCommitStore.open({ path, ...STORES, journalWindow: JOURNAL_WINDOW, pruneKeep: 3 });
    const load = new SnapshotImport(fresh, snapshotOffer(store.height(), chunks.map(chunkHash)));
    for (const [index, chunk] of chunks.entries()) load.addChunk(index, chunk);
    load.finish(store.appHash());
    fresh.close();
    this.#disk = this.#openDisk();
  }
}

function differ(what: string, height: bigint, values: readonly unknown[]): KaratError {
  return new KaratError("replicas_differ", `the replicas differ at height ${height}: ${what}`, { values });
}

import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isKaratError, type Logger, messageOf } from "@karat/common";
import * as abci from "cosmjs-types/tendermint/abci/types";
import {
  chunkHash,
  exportSnapshot,
  SNAPSHOT_FORMAT,
  SnapshotImport,
  type SnapshotOffer,
  snapshotOffer,
  type TreeCommitStore,
} from "../store/index.ts";
import type { SnapshotService } from "./snapshots.ts";

export interface FileSnapshotOptions {
  readonly store: TreeCommitStore;
  /** One folder per height: `0`, `1`, … are the chunks, `offer` their hashes. */
  readonly dir: string;
  /** Blocks from one snapshot to the next; 0 makes none. */
  readonly interval: number;
  /** Newest snapshots kept. */
  readonly keep?: number;
  readonly log: Logger;
}

const { ACCEPT: OFFER_ACCEPT, REJECT: OFFER_REJECT, REJECT_FORMAT } = abci.ResponseOfferSnapshot_Result;
const { ACCEPT, RETRY, REJECT_SNAPSHOT } = abci.ResponseApplySnapshotChunk_Result;

/** Snapshots for state sync in files: written between blocks, one chunk at a time; taken in while a node starts. */
export class FileSnapshots implements SnapshotService {
  readonly #options: FileSnapshotOptions;
  #writing = false;
  #import: { readonly into: SnapshotImport; readonly trusted: Uint8Array; readonly chunks: number } | undefined;

  constructor(options: FileSnapshotOptions) {
    this.#options = options;
  }

  list(): abci.Snapshot[] {
    return this.#heights().map((height) => snapshotOffer(BigInt(height), this.#hashes(height)));
  }

  load({ height, format, chunk }: abci.RequestLoadSnapshotChunk): Uint8Array {
    const known = this.#heights().includes(Number(height));
    const count = known ? this.#hashes(Number(height)).length : 0;
    if (format !== SNAPSHOT_FORMAT || chunk >= count) return new Uint8Array();
    return new Uint8Array(readFileSync(join(this.#options.dir, height.toString(), chunk.toString())));
  }

  offer({ snapshot, appHash }: abci.RequestOfferSnapshot): abci.ResponseOfferSnapshot_Result {
    if (snapshot === undefined) return OFFER_REJECT;
    if (snapshot.format !== SNAPSHOT_FORMAT) return REJECT_FORMAT;
    this.#import?.into.abort();
    this.#import = undefined;
    try {
      const into = new SnapshotImport(this.#options.store, snapshot satisfies SnapshotOffer);
      this.#import = { into, trusted: appHash, chunks: snapshot.chunks };
      return OFFER_ACCEPT;
    } catch (error) {
      if (!isKaratError(error, "snapshot_refused")) throw error;
      return OFFER_REJECT;
    }
  }

  apply({ index, chunk, sender }: abci.RequestApplySnapshotChunk): abci.ResponseApplySnapshotChunk {
    const running = this.#import;
    const nothing = { refetchChunks: [], rejectSenders: [] };
    if (running === undefined) return { result: REJECT_SNAPSHOT, ...nothing };
    try {
      running.into.addChunk(index, chunk);
      if (running.into.nextChunk === running.chunks) {
        running.into.finish(running.trusted);
        this.#import = undefined;
      }
      return { result: ACCEPT, ...nothing };
    } catch (error) {
      if (!isKaratError(error)) throw error;
      this.#options.log.warn({ index, code: error.code }, "a snapshot chunk was refused");
      if (error.code === "snapshot_chunk_hash")
        return { result: RETRY, refetchChunks: [index], rejectSenders: [sender] };
      this.#import = undefined;
      return { result: REJECT_SNAPSHOT, ...nothing };
    }
  }

  committed(height: bigint): void {
    const { interval } = this.#options;
    if (interval === 0 || this.#writing || height % BigInt(interval) !== 0n) return;
    this.#writing = true;
    void this.#write(height).catch((error: unknown) => {
      this.#options.log.warn({ height: height.toString(), error: messageOf(error) }, "no snapshot of this height");
    });
  }

  /** Under another name until it is whole, so that a crash leaves nothing that looks like a snapshot. */
  async #write(height: bigint): Promise<void> {
    const { dir, store, keep = 2 } = this.#options;
    const unfinished = join(dir, `${height}.new`);
    try {
      mkdirSync(dir, { recursive: true });
      for (const name of readdirSync(dir)) {
        if (name.endsWith(".new")) rmSync(join(dir, name), { recursive: true });
      }
      mkdirSync(unfinished);
      const hashes: Uint8Array[] = [];
      for (const chunk of exportSnapshot(store, height)) {
        writeFileSync(join(unfinished, hashes.length.toString()), chunk);
        hashes.push(chunkHash(chunk));
        await new Promise((resolve) => setImmediate(resolve));
      }
      writeFileSync(join(unfinished, "offer"), Buffer.concat(hashes));
      renameSync(unfinished, join(dir, height.toString()));
      const old = this.#heights().slice(keep);
      for (const gone of old) rmSync(join(dir, gone.toString()), { recursive: true, force: true });
      this.#options.log.info({ height: height.toString(), chunks: hashes.length }, "snapshot written");
    } finally {
      this.#writing = false;
    }
  }

  /** Newest first. */
  #heights(): number[] {
    let names: string[];
    try {
      names = readdirSync(this.#options.dir);
    } catch {
      return [];
    }
    return names
      .filter((name) => /^\d{1,15}$/.test(name))
      .map(Number)
      .sort((a, b) => b - a);
  }

  #hashes(height: number): Uint8Array[] {
    const all = readFileSync(join(this.#options.dir, height.toString(), "offer"));
    return Array.from({ length: all.length / 32 }, (_, i) => new Uint8Array(all.subarray(i * 32, i * 32 + 32)));
  }
}

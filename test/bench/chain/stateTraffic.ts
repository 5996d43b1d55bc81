/** What inferences do to the state, without transactions: the writes of their lives, block by block, over a store on disk. */
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sha256, utf8 } from "@karat/common";
import { State } from "../../../chain/src/app/state.ts";
import { BUCKETS, bytes, nothing, pair, Table, u64 } from "../../../chain/src/store/collections.ts";
import { Committed } from "../../../chain/src/store/committed.ts";
import { LmdbCommitStore } from "../../../chain/src/store/index.ts";

const STORE = "inference";
const records = new Table(1, bytes, bytes);
const agenda = (prefix: number) => new Table(BUCKETS + prefix, pair(u64, bytes), nothing);
const deadlines = agenda(2);
const payable = agenda(4);
const expiring = agenda(5);
/** Far beyond what a run reaches. */
const NEVER = 1_000_000_000n;

export interface StateTrafficOptions {
  /** Inferences that each block starts, finishes, pays and, after `retain` blocks, forgets. */
  readonly perBlock: number;
  readonly retain: number;
  /** Bytes of a record. */
  readonly recordBytes: number;
  /** The store as a journal, or as a tree. */
  readonly journal: boolean;
}

/** A store under such traffic, in a folder of its own until `close`. */
export class StateTraffic {
  readonly #options: StateTrafficOptions;
  readonly #path = mkdtempSync(join(tmpdir(), "karat-state-bench-"));
  readonly #store: LmdbCommitStore;
  readonly #committed: Committed;
  readonly #value: Uint8Array;

  constructor(options: StateTrafficOptions) {
    this.#options = options;
    this.#value = new Uint8Array(options.recordBytes);
    const journaled = options.journal ? [STORE] : [];
    this.#store = LmdbCommitStore.open({ path: this.#path, names: [STORE, "other"], journaled });
    this.#committed = new Committed(this.#store);
  }

  get height(): bigint {
    return this.#store.height();
  }

  /** Bytes of the database. */
  get bytes(): number {
    return statSync(join(this.#path, "data.mdb")).size;
  }

  /** `count` records that nothing happens to, in blocks of 10,000. */
  preload(count: number): void {
    for (let done = 0; done < count; done += 10_000) {
      this.#block((store) => {
        for (let i = done; i < Math.min(count, done + 10_000); i++) {
          const id = sha256(utf8(`live ${i}`));
          records.set(store, id, this.#record(0, i));
          expiring.set(store, [NEVER + BigInt(done), id], true);
        }
      });
    }
  }

  /** One block of the traffic. `at` counts the blocks of it. */
  block(at: number): void {
    const { perBlock, retain } = this.#options;
    const each = (block: number, what: (id: Uint8Array, at: bigint, i: number) => void): void => {
      if (block < 0) return;
      for (let i = 0; i < perBlock; i++) what(sha256(utf8(`${block} ${i}`)), BigInt(block), i);
    };
    this.#block((store) => {
      each(at, (id, height, i) => {
        records.set(store, id, this.#record(1, i));
        deadlines.set(store, [height, id], true);
      });
      each(at - 1, (id, height, i) => {
        records.get(store, id);
        records.set(store, id, this.#record(2, i));
        deadlines.delete(store, [height, id]);
        payable.set(store, [height, id], true);
      });
      each(at - 3, (id, height, i) => {
        records.get(store, id);
        records.set(store, id, this.#record(3, i));
        payable.delete(store, [height, id]);
        expiring.set(store, [height, id], true);
      });
      each(at - 3 - retain, (id, height) => {
        records.delete(store, id);
        expiring.delete(store, [height, id]);
      });
    });
  }

  close(): void {
    this.#store.close();
    rmSync(this.#path, { recursive: true });
  }

  #block(work: (store: ReturnType<State["store"]>) => void): void {
    const state = new State(this.#committed);
    work(state.store(STORE));
    this.#committed.stage(this.#store.height() + 1n, state.overlays);
    this.#committed.commit();
  }

  #record(status: number, i: number): Uint8Array {
    const value = this.#value.slice();
    value[0] = status;
    new DataView(value.buffer).setUint32(1, i);
    return value;
  }
}

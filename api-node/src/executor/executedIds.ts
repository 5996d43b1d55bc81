import { toHex } from "@karat/common";

/** Durable half of the memory of executed ids. */
export interface IdStore {
  load(): Iterable<readonly [id: string, anchorHeight: bigint]>;
  put(id: string, anchorHeight: bigint): void;
  delete(id: string): void;
}

/**
 * Which inferences this node has begun. An id is executed once, also across a restart; it is forgotten when its anchor is too old
 * for the chain to take it.
 */
export class ExecutedIds {
  readonly #store: IdStore;
  readonly #ids: Map<string, bigint>;

  constructor(store: IdStore) {
    this.#store = store;
    this.#ids = new Map(store.load());
  }

  /** False when the id was claimed before. */
  claim(inferenceId: Uint8Array, anchorHeight: bigint): boolean {
    const id = toHex(inferenceId);
    if (this.#ids.has(id)) return false;
    this.#ids.set(id, anchorHeight);
    this.#store.put(id, anchorHeight);
    return true;
  }

  /** Gives back a claim that led to no receipt. */
  release(inferenceId: Uint8Array): void {
    const id = toHex(inferenceId);
    this.#ids.delete(id);
    this.#store.delete(id);
  }

  /** Forgets ids whose anchor is below `height`; called once a block, so the memory is bounded by the anchors' age. */
  forgetBelow(height: bigint): void {
    for (const [id, anchorHeight] of this.#ids) {
      if (anchorHeight >= height) continue;
      this.#ids.delete(id);
      this.#store.delete(id);
    }
  }
}

/** Forgets with the process; for tests. */
export const volatileIds: IdStore = { load: () => [], put() {}, delete() {} };

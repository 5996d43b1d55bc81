import { Committed } from "../store/committed.ts";
import { Overlay } from "../store/overlay.ts";
import type { CommitStore, ValueReader, ValueWriter } from "../store/types.ts";

/** Where a State reads what it has not written itself. */
export interface StateSource {
  reader(name: string): ValueReader;
}

/**
 * All stores with buffered writes over a source. A block, a transaction and a message each run on a branch of the one
 * around it; dropping the branch rolls it back.
 */
export class State implements StateSource {
  readonly #source: StateSource;
  readonly #overlays = new Map<string, Overlay>();

  constructor(source: StateSource) {
    this.#source = source;
  }

  /** Over what a store has committed. */
  static of(store: CommitStore): State {
    return new State(new Committed(store));
  }

  store(name: string): ValueWriter {
    let overlay = this.#overlays.get(name);
    if (overlay === undefined) {
      overlay = new Overlay(this.#source.reader(name));
      this.#overlays.set(name, overlay);
    }
    return overlay;
  }

  reader(name: string): ValueReader {
    return this.store(name);
  }

  branch(): State {
    return new State(this);
  }

  /** Repeats the writes on another state: on the one this was branched from, to keep them. */
  flushTo(target: State): void {
    for (const [name, overlay] of this.#overlays) {
      if (overlay.size > 0) overlay.flushTo(target.store(name));
    }
  }

  /** The writes by store, for Committed. */
  get overlays(): ReadonlyMap<string, Overlay> {
    return this.#overlays;
  }
}

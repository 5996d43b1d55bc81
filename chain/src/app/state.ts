import { Overlay } from "../store/overlay.ts";
import type { Change, ChangeSet, Reader, Writer } from "../store/types.ts";

/** Where a State reads what it has not written itself. */
export interface StateSource {
  reader(name: string): Reader;
}

/**
 * All stores with buffered writes over a source. A block, a transaction and a message each run on a branch of the one
 * around it; dropping the branch rolls it back.
 */
export class State implements StateSource {
  readonly #source: StateSource;
  readonly #overlays = new Map<string, Overlay>();

  readonly #remember: boolean;

  /** `remember`: see Overlay; for a source that stays as it is. */
  constructor(source: StateSource, remember = false) {
    this.#source = source;
    this.#remember = remember;
  }

  store(name: string): Writer {
    let overlay = this.#overlays.get(name);
    if (overlay === undefined) {
      overlay = new Overlay(this.#source.reader(name), this.#remember);
      this.#overlays.set(name, overlay);
    }
    return overlay;
  }

  reader(name: string): Reader {
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

  /** The writes for the commit store, only of stores that were written, in order of their names. */
  changes(): ChangeSet {
    const names = [...this.#overlays.keys()].sort();
    return new Map<string, readonly Change[]>(
      names
        .filter((name) => this.#overlays.get(name)!.size > 0)
        .map((name) => [name, this.#overlays.get(name)!.changes()]),
    );
  }
}

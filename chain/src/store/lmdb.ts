import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { LmdbBackend } from "./lmdbBackend.ts";
import { recoverState } from "./recover.ts";
import { TreeCommitStore, type TreeStoreOptions, treeNames } from "./treeStore.ts";

export interface LmdbStoreOptions extends TreeStoreOptions {
  /** Folder of the environment; made where it is missing. Only one process may have it open. */
  path: string;
  /** Bytes of tree nodes held in memory, estimated. Default 128 MiB. */
  cacheBytes?: number;
  /** Nodes pruned per commit at most, unless the block itself orphaned more than half as many. Default 20 000. */
  pruneBudget?: number;
}

/** In the folder of a state that is open: the boot of the machine in which it was opened. */
const OPEN_MARK = "open";

/** The state on disk: what `commit` returned survives a crash, what was not committed leaves no trace. */
export class LmdbCommitStore extends TreeCommitStore {
  #mark: string | undefined;

  static open(options: LmdbStoreOptions): LmdbCommitStore {
    const { path, cacheBytes = 128 * 1024 * 1024, pruneBudget = 20_000 } = options;
    const names = [...new Set([...options.names, ...treeNames(options)])];
    const { journaled = [] } = options;
    const backend = new LmdbBackend({ path, names, journaled, cacheBytes, pruneBudget });
    try {
      return new LmdbCommitStore(backend, options);
    } catch (error) {
      backend.close();
      throw error;
    }
  }

  /**
   * Opens it; where the machine went down while it was open, the whole state is checked first (`recoverState`). A process that
   * was killed leaves no torn pages, for the kernel has them. Throws `corrupt_store`.
   */
  static async openChecked(options: LmdbStoreOptions): Promise<LmdbCommitStore> {
    const mark = join(options.path, OPEN_MARK);
    const before = textOf(mark);
    const boot = textOf("/proc/sys/kernel/random/boot_id") ?? "";
    if (before !== undefined && (before !== boot || boot === "")) await recoverState(options);
    const store = LmdbCommitStore.open(options);
    writeFileSync(mark, boot);
    store.#mark = mark;
    return store;
  }

  override close(): void {
    super.close();
    if (this.#mark !== undefined) rmSync(this.#mark, { force: true });
    this.#mark = undefined;
  }
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

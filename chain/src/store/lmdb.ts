import { LmdbBackend } from "./lmdbBackend.ts";
import { TreeCommitStore, type TreeStoreOptions, treeNames } from "./treeStore.ts";

export interface LmdbStoreOptions extends TreeStoreOptions {
  /** Folder of the environment; made where it is missing. Only one process may have it open. */
  path: string;
  /** Bytes of tree nodes held in memory, estimated. Default 128 MiB. */
  cacheBytes?: number;
  /** Nodes pruned per commit at most, unless the block itself orphaned more than half as many. Default 20 000. */
  pruneBudget?: number;
}

/** The state on disk: what `commit` returned survives a crash, what was not committed leaves no trace. */
export class LmdbCommitStore extends TreeCommitStore {
  static open(options: LmdbStoreOptions): LmdbCommitStore {
    const { path, cacheBytes = 128 * 1024 * 1024, pruneBudget = 20_000 } = options;
    const names = [...new Set([...options.names, ...treeNames(options)])];
    const backend = new LmdbBackend({ path, names, cacheBytes, pruneBudget });
    try {
      return new LmdbCommitStore(backend, options);
    } catch (error) {
      backend.close();
      throw error;
    }
  }
}

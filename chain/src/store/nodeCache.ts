import type { Node } from "./iavl/node.ts";

/** What an entry costs beside its bytes: objects, two references with hashes, the map's slot. */
const ENTRY_OVERHEAD = 400;

/**
 * Saved nodes by id, bounded by (estimated) bytes. Two generations: when the young one is full, the old one is
 * dropped and the young one takes its place; what is read from the old one is young again. Approximately least
 * recently used, for the price of a map lookup.
 */
export class NodeCache {
  readonly #halfBytes: number;
  #young = new Map<number, Node>();
  #old = new Map<number, Node>();
  #youngBytes = 0;

  constructor(maxBytes: number) {
    this.#halfBytes = maxBytes / 2;
  }

  get(id: number): Node | undefined {
    const young = this.#young.get(id);
    if (young !== undefined) return young;
    const old = this.#old.get(id);
    if (old !== undefined) this.set(id, old);
    return old;
  }

  set(id: number, node: Node): void {
    this.#young.set(id, node);
    this.#youngBytes += ENTRY_OVERHEAD + node.key.length + (node.value?.length ?? 0);
    if (this.#youngBytes < this.#halfBytes) return;
    this.#old = this.#young;
    this.#young = new Map();
    this.#youngBytes = 0;
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  clear(): void {
    this.#young.clear();
    this.#old.clear();
    this.#youngBytes = 0;
  }
}

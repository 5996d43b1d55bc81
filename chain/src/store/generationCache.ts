/**
 * A cache bounded by the (estimated) bytes of what it holds. Two generations: when the young one is full, the old one is
 * dropped and the young one takes its place; what is read from the old one is young again. Approximately least
 * recently used, for the price of a map lookup.
 */
export class GenerationCache<K, V> {
  readonly #halfBytes: number;
  #young = new Map<K, V>();
  #old = new Map<K, V>();
  #youngBytes = 0;
  readonly #costOf: (key: K, value: V) => number;

  constructor(maxBytes: number, costOf: (key: K, value: V) => number) {
    this.#halfBytes = maxBytes / 2;
    this.#costOf = costOf;
  }

  get(key: K): V | undefined {
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    const old = this.#old.get(key);
    if (old !== undefined) this.set(key, old);
    return old;
  }

  set(key: K, value: V): void {
    this.#young.set(key, value);
    this.#youngBytes += this.#costOf(key, value);
    if (this.#youngBytes < this.#halfBytes) return;
    this.#old = this.#young;
    this.#young = new Map();
    this.#youngBytes = 0;
  }

  delete(key: K): void {
    this.#young.delete(key);
    this.#old.delete(key);
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

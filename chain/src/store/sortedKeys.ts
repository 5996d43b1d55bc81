const MAX_RUN = 512;

/**
 * An ordered set of strings that grows: a list of short sorted runs, so that adding costs a binary search and a
 * move of at most one run, and iteration needs no sorting.
 */
export class SortedKeys {
  readonly #runs: string[][] = [];

  /** A set of these keys, which are sorted and distinct. */
  static of(sorted: readonly string[]): SortedKeys {
    const keys = new SortedKeys();
    for (let at = 0; at < sorted.length; at += MAX_RUN / 2) keys.#runs.push(sorted.slice(at, at + MAX_RUN / 2));
    return keys;
  }

  /** Adds a key that is not in the set. */
  add(key: string): void {
    const at = Math.min(this.#runAtOrAfter(key), this.#runs.length - 1);
    const run = this.#runs[at];
    if (run === undefined) {
      this.#runs.push([key]);
      return;
    }
    run.splice(lowerBound(run, key), 0, key);
    if (run.length > MAX_RUN) this.#runs.splice(at + 1, 0, run.splice(MAX_RUN / 2));
  }

  /** Removes a key that is in the set. */
  delete(key: string): void {
    const at = this.#runAtOrAfter(key);
    const run = this.#runs[at];
    if (run === undefined) return;
    const index = lowerBound(run, key);
    if (run[index] === key) run.splice(index, 1);
    if (run.length === 0) this.#runs.splice(at, 1);
  }

  /** The smallest key ≥ `from` (> `from` where `exclusive`); the very first where `from` is undefined. */
  next(from: string | undefined, exclusive: boolean): string | undefined {
    if (from === undefined) return this.#runs[0]?.[0];
    const at = this.#runAtOrAfter(from);
    const run = this.#runs[at];
    if (run === undefined) return undefined;
    const index = lowerBound(run, from);
    if (!(exclusive && run[index] === from)) return run[index];
    return run[index + 1] ?? this.#runs[at + 1]?.[0];
  }

  /** The largest key < `before`; the very last where `before` is undefined. */
  previous(before: string | undefined): string | undefined {
    if (before === undefined) return this.#runs.at(-1)?.at(-1);
    const at = this.#runAtOrAfter(before);
    const run = this.#runs[at];
    const index = run === undefined ? 0 : lowerBound(run, before);
    return index > 0 ? run?.[index - 1] : at > 0 ? this.#runs[at - 1]?.at(-1) : undefined;
  }

  *[Symbol.iterator](): Iterator<string> {
    for (const run of this.#runs) yield* run;
  }

  /** Index of the first run whose last key is ≥ `key`; the number of runs where there is none. */
  #runAtOrAfter(key: string): number {
    let low = 0;
    let high = this.#runs.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#runs[middle]!.at(-1)! < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Index of the first of sorted keys that is not before `key`. */
export function lowerBound(sorted: readonly string[], key: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle]! < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

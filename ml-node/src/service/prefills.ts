/** Views of outputs that were made for a blind check and are needed once more when the artifact opens: few, and not for long. */
import { bytesToHex, sha256, tokensHash, utf8 } from "@karat/rules";
import type { InferenceEngine, PositionLogprobs, ScoreJob } from "../engine/engine.ts";

const MAX_POSITIONS = 16_384;
/** Of vectors: 16 MiB. */
const MAX_COMPONENTS = 4_194_304;
const LIFE_MS = 10 * 60_000;

export class Prefills {
  readonly #positions: Memory<PositionLogprobs[]>;
  readonly #vectors: Memory<Float32Array[]>;

  constructor(now: () => number = Date.now) {
    this.#positions = new Memory(MAX_POSITIONS, now);
    this.#vectors = new Memory(MAX_COMPONENTS, now);
  }

  /** Output positions kept. */
  get size(): number {
    return this.#positions.size;
  }

  /** The engine's view of an output, computed once for the same prompt and output. A failed computation is not kept. */
  of(engine: InferenceEngine, job: ScoreJob, signal?: AbortSignal): Promise<PositionLogprobs[]> {
    const { promptIds, outputIds, top, constrained } = job;
    const key = keyOf(engine, constrained, [promptIds.length, ...promptIds, ...outputIds, top]);
    return this.#positions.of(key, outputIds.length, () => engine.score(job, signal));
  }

  /** The engine's vectors of some inputs, likewise. */
  vectorsOf(
    engine: InferenceEngine,
    inputs: readonly (readonly number[])[],
    signal?: AbortSignal,
  ): Promise<Float32Array[]> {
    const key = keyOf(
      engine,
      "vectors",
      inputs.flatMap((ids) => [ids.length, ...ids]),
    );
    const components = inputs.length * (engine.info().embeddingDimensions ?? 0);
    return this.#vectors.of(key, components, () => engine.embed({ inputs }, signal));
  }
}

interface Kept<T> {
  readonly at: number;
  readonly size: number;
  readonly made: Promise<T>;
}

/** Results by key, of so much size together; the oldest give way. */
class Memory<T> {
  readonly #kept = new Map<string, Kept<T>>();
  readonly #most: number;
  readonly #now: () => number;
  size = 0;

  constructor(most: number, now: () => number) {
    this.#most = most;
    this.#now = now;
  }

  of(key: string, size: number, make: () => Promise<T>): Promise<T> {
    this.#sweep(size);
    const before = this.#kept.get(key);
    if (before) return before.made;
    const made = make();
    if (size > this.#most) return made;
    this.#kept.set(key, { at: this.#now(), size, made });
    this.size += size;
    made.catch(() => this.#drop(key));
    return made;
  }

  #sweep(wanted: number): void {
    const expired = this.#now() - LIFE_MS;
    for (const [key, { at }] of this.#kept) {
      if (at > expired && this.size + wanted <= this.#most) return;
      this.#drop(key);
    }
  }

  #drop(key: string): void {
    const entry = this.#kept.get(key);
    if (entry === undefined) return;
    this.#kept.delete(key);
    this.size -= entry.size;
  }
}

/** Hashed in one piece: an embedding may have read hundreds of thousands of ids. */
const keyOf = (engine: InferenceEngine, kind: unknown, ids: readonly number[]): string =>
  bytesToHex(sha256(utf8(JSON.stringify([engine.info().weightsSha256, kind ?? null])), tokensHash(ids)));

/** Prefills that were made for a blind check and are needed once more when the artifact opens: few, and not for long. */
import { bytesToHex, sha256, u32, utf8 } from "@karat/rules";
import type { InferenceEngine, PositionLogprobs, ScoreJob } from "../engine/engine.ts";

const MAX_POSITIONS = 16_384;
const LIFE_MS = 10 * 60_000;

interface Kept {
  readonly at: number;
  readonly size: number;
  readonly positions: Promise<PositionLogprobs[]>;
}

export class Prefills {
  readonly #kept = new Map<string, Kept>();
  readonly #now: () => number;
  #size = 0;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** Output positions kept. */
  get size(): number {
    return this.#size;
  }

  /** The engine's view of an output, computed once for the same prompt and output. A failed computation is not kept. */
  of(engine: InferenceEngine, job: ScoreJob, signal?: AbortSignal): Promise<PositionLogprobs[]> {
    const key = keyOf(engine, job);
    this.#sweep(job.outputIds.length);
    const before = this.#kept.get(key);
    if (before) return before.positions;
    const positions = engine.score(job, signal);
    if (job.outputIds.length > MAX_POSITIONS) return positions;
    this.#kept.set(key, { at: this.#now(), size: job.outputIds.length, positions });
    this.#size += job.outputIds.length;
    positions.catch(() => this.#drop(key));
    return positions;
  }

  /** Makes room for `wanted` positions, the oldest giving way. */
  #sweep(wanted: number): void {
    const expired = this.#now() - LIFE_MS;
    for (const [key, { at }] of this.#kept) {
      if (at > expired && this.#size + wanted <= MAX_POSITIONS) return;
      this.#drop(key);
    }
  }

  #drop(key: string): void {
    const entry = this.#kept.get(key);
    if (entry === undefined) return;
    this.#kept.delete(key);
    this.#size -= entry.size;
  }
}

function keyOf(engine: InferenceEngine, { promptIds, outputIds, top, constrained }: ScoreJob): string {
  const numbers = [promptIds.length, ...promptIds, ...outputIds, top].map(u32);
  return bytesToHex(sha256(utf8(JSON.stringify([engine.info().weightsSha256, constrained ?? null])), ...numbers));
}

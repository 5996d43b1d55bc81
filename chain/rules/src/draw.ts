import { RuleError } from "./errors.ts";
import { compareBytes, domainHash, utf8 } from "./hash.ts";

export interface Candidate {
  /** Operator address. */
  readonly id: string;
  /** Not negative; 0 is never drawn. */
  readonly weight: bigint;
}

const DIGEST_RANGE = 1n << 256n;

/**
 * A weighted draw without replacement: ids in the order drawn, at most `limit`. The order of the input does not matter.
 * Each draw takes 256 bits of domainHash("karat/draw-stream", seed, counter), rejected where a modulus would favour
 * the first candidates. Throws `invalid_candidates` on a negative weight or a repeated id.
 */
export function weightedOrder(seed: Uint8Array, candidates: readonly Candidate[], limit?: number): string[] {
  return new DrawTable(candidates).order(seed, limit);
}

/**
 * Candidates made ready for many draws: sorted once, and the first of each draw is found by bisection. A draw of one among
 * thousands costs no more than one among ten.
 */
export class DrawTable {
  readonly #candidates: readonly Candidate[];
  /** Sums of the weights up to and with each. */
  readonly #sums: readonly bigint[];
  /** Of all weights together. */
  readonly #range: Range;

  /** Throws `invalid_candidates` on a negative weight or a repeated id. */
  constructor(candidates: readonly Candidate[]) {
    this.#candidates = sorted(candidates);
    let sum = 0n;
    this.#sums = this.#candidates.map(({ weight }) => {
      sum += weight;
      return sum;
    });
    this.#range = rangeOf(sum);
  }

  /** The order that `weightedOrder` gives, without those that are passed over. */
  order(seed: Uint8Array, limit = this.#candidates.length, passedOver: readonly string[] = []): string[] {
    const order: string[] = [];
    let left: Candidate[] | undefined;
    let { total, usable } = this.#range;
    for (let counter = 0n; order.length < limit && total > 0n; counter += 1n) {
      const drawn = toInteger(domainHash("karat/draw-stream", seed, counter));
      if (drawn >= usable) continue;
      const point = drawn % total;
      const index = left === undefined ? this.#at(point) : at(left, point);
      const chosen = (left ?? this.#candidates)[index]!;
      if (!passedOver.includes(chosen.id)) order.push(chosen.id);
      if (order.length === limit) break;
      left ??= this.#candidates.slice();
      left.splice(index, 1);
      ({ total, usable } = rangeOf(total - chosen.weight));
    }
    return order;
  }

  /** The order that `executorOrder` gives. */
  executorOrder(beacon: Uint8Array, inferenceId: Uint8Array, limit?: number): string[] {
    return this.order(executorSeed(beacon, inferenceId), limit);
  }

  /** The first whose sum is above `point`. */
  #at(point: bigint): number {
    let low = 0;
    let high = this.#sums.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#sums[middle]! > point) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

interface Range {
  /** What a digest is drawn from: 0 … total - 1. */
  readonly total: bigint;
  /** Digests from here on would favour the first. */
  readonly usable: bigint;
}

const rangeOf = (total: bigint): Range => ({
  total,
  usable: total === 0n ? 0n : DIGEST_RANGE - (DIGEST_RANGE % total),
});

const executorSeed = (beacon: Uint8Array, inferenceId: Uint8Array): Uint8Array =>
  domainHash("karat/draw", beacon, inferenceId);

/** The executors of one inference, in the order in which they are asked. `beacon` is that of the anchor height. */
export function executorOrder(
  beacon: Uint8Array,
  inferenceId: Uint8Array,
  candidates: readonly Candidate[],
  limit?: number,
): string[] {
  return weightedOrder(executorSeed(beacon, inferenceId), candidates, limit);
}

/** A suspended member gets a quarter of the traffic that its weight would bring. */
const SUSPENDED_PART = 4n;

/**
 * The weight that a member of an epoch's snapshot has in the draws of one anchor: a quarter, at least 1, from `suspendedHeight` (0:
 * never) up to `restoredHeight` (0: without end).
 */
export function drawWeight(
  member: { readonly weight: bigint; readonly suspendedHeight: bigint; readonly restoredHeight: bigint },
  anchorHeight: bigint,
): bigint {
  const { weight, suspendedHeight, restoredHeight } = member;
  const suspended =
    suspendedHeight > 0n && anchorHeight >= suspendedHeight && (restoredHeight === 0n || anchorHeight < restoredHeight);
  if (!suspended || weight === 0n) return weight;
  return weight > SUSPENDED_PART ? weight / SUSPENDED_PART : 1n;
}

/** By id in byte order, without those of no weight. */
function sorted(candidates: readonly Candidate[]): Candidate[] {
  const keyed = candidates.map((candidate) => ({ candidate, key: utf8(candidate.id) }));
  keyed.sort((a, b) => compareBytes(a.key, b.key));
  for (const [i, { candidate, key }] of keyed.entries()) {
    if (candidate.weight < 0n) throw new RuleError("invalid_candidates", "weight", "negative", { id: candidate.id });
    const next = keyed[i + 1];
    if (next && compareBytes(key, next.key) === 0) {
      throw new RuleError("invalid_candidates", "id", "listed twice", { id: candidate.id });
    }
  }
  return keyed.flatMap(({ candidate }) => (candidate.weight > 0n ? [candidate] : []));
}

/** Index of the candidate whose share of the cumulative weights holds `point`. */
function at(candidates: readonly Candidate[], point: bigint): number {
  let below = point;
  for (const [i, { weight }] of candidates.entries()) {
    if (below < weight) return i;
    below -= weight;
  }
  throw new RuleError("invalid_candidates", "weight", "a point beyond the total weight");
}

const TWO_32 = 2 ** 32;

/** ⌊u·n / 2^64⌋ for u the first 8 bytes of a digest, big-endian: one of 0 … n - 1. `n` is at most 2^21: no product exceeds 2^53. */
export function drawnBelow(n: number, digest: Uint8Array): number {
  const view = new DataView(digest.buffer, digest.byteOffset, 8);
  const low = Math.floor((view.getUint32(4) * n) / TWO_32);
  return Math.floor((view.getUint32(0) * n + low) / TWO_32);
}

/** Big-endian; a multiple of 8 bytes. */
function toInteger(bytes: Uint8Array): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let value = 0n;
  for (let at = 0; at < bytes.length; at += 8) value = (value << 64n) | view.getBigUint64(at);
  return value;
}

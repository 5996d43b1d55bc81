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
export function weightedOrder(seed: Uint8Array, candidates: readonly Candidate[], limit = candidates.length): string[] {
  const left = sorted(candidates);
  let total = left.reduce((sum, { weight }) => sum + weight, 0n);
  let counter = 0n;
  const order: string[] = [];
  while (order.length < limit && total > 0n) {
    const usable = DIGEST_RANGE - (DIGEST_RANGE % total);
    const drawn = toInteger(domainHash("karat/draw-stream", seed, counter));
    counter += 1n;
    if (drawn >= usable) continue;
    const index = at(left, drawn % total);
    const [chosen] = left.splice(index, 1);
    total -= chosen!.weight;
    order.push(chosen!.id);
  }
  return order;
}

/** The executors of one inference, in the order in which they are asked. `beacon` is that of the anchor height. */
export function executorOrder(
  beacon: Uint8Array,
  inferenceId: Uint8Array,
  candidates: readonly Candidate[],
  limit?: number,
): string[] {
  return weightedOrder(domainHash("karat/draw", beacon, inferenceId), candidates, limit);
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

/** Big-endian. */
export function toInteger(bytes: Uint8Array): bigint {
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  return value;
}

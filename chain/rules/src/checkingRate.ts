import { RuleError } from "./errors.ts";
import { LOG2_BITS, log2Ceil } from "./fixedPoint.ts";

export interface CheckingRateInput {
  /** 0 … 1_000_000. */
  readonly reputation: number;
  /** Inferences of this pair in the epoch, this one included. */
  readonly inferencesThisEpoch: bigint;
  /** What a conviction costs, in ukarat: the epoch's reward and the slashable collateral. Reputation does not count: a node that leaves does not care. */
  readonly reward: bigint;
  readonly collateral: bigint;
  /** What cheating on one inference saves, in ukarat. */
  readonly gainPerInference: bigint;
  readonly floorMicros: number;
  /** Detection power of one check, in millionths. */
  readonly detectionMicros?: number;
}

const MICROS = 1_000_000n;
const ALWAYS = 1_000_000;
/** ln 2 and ln 1000, rounded up, in 10^-9. */
const LN2_NANOS = 693_147_181n;
const LN1000_NANOS = 6_907_755_279n;
const NANOS = 1_000_000_000n;
/** Cheats within which one is caught with probability 1 − 10^-3: of a newcomer, of the fully trusted. */
const NEWCOMER_CHEATS = 20n;
const TRUSTED_CHEATS = 2_000n;
/** Reputation from which nothing is added for being new. */
const SETTLED_MICROS = 500_000n;

/**
 * The probability with which the next inference is checked, in millionths, rounded up (verification.md §6):
 * max(economic minimum, latency floor, parameter floor) + newcomer surcharge. Everything with nothing behind it is
 * checked always.
 */
export function checkingRateMicros(input: CheckingRateInput): number {
  const { reputation, inferencesThisEpoch: n, floorMicros, gainPerInference: gain } = input;
  const detection = BigInt(input.detectionMicros ?? 950_000);
  if (!Number.isInteger(reputation) || reputation < 0 || reputation > ALWAYS) {
    throw new RuleError("invalid_rate", "reputation", "an integer from 0 to 1000000", { reputation });
  }
  if (n < 1n || gain < 0n || input.reward < 0n || input.collateral < 0n) {
    throw new RuleError("invalid_amount", "inferencesThisEpoch", "at least one inference, amounts not negative");
  }
  const loss = input.reward + input.collateral;
  const gained = n * gain;
  if (gained >= loss) return ALWAYS; // more to gain than to lose: no sampling deters
  const trust = BigInt(reputation);
  const base = max(BigInt(floorMicros), economic(n, gained, loss, detection), latency(trust, detection));
  if (base >= MICROS) return ALWAYS;
  const missing = trust >= SETTLED_MICROS ? 0n : SETTLED_MICROS - trust;
  return Number(base + ceilDiv((MICROS - base) * missing, SETTLED_MICROS));
}

/**
 * The smallest s with 1 − (1 − s·d)^n > n·g / L, from above: s = −ln(1 − n·g/L) / (n·d). A number of checks per epoch,
 * not a share of the traffic.
 */
function economic(n: bigint, gained: bigint, loss: bigint, detection: bigint): bigint {
  const ln = log2Ceil(loss, loss - gained) * LN2_NANOS; // LOG2_BITS and nanos
  return ceilDiv(ln * MICROS * MICROS, (NANOS << LOG2_BITS) * n * detection);
}

/** The s with which m cheats in a row escape with probability 10^-3: ln(1000) / (m·d); m grows with trust. */
function latency(trust: bigint, detection: bigint): bigint {
  const cheats = NEWCOMER_CHEATS + ((TRUSTED_CHEATS - NEWCOMER_CHEATS) * trust) / MICROS;
  return ceilDiv(LN1000_NANOS * MICROS * MICROS, NANOS * cheats * detection);
}

const ceilDiv = (a: bigint, b: bigint): bigint => (a + b - 1n) / b;
const max = (...values: bigint[]): bigint => values.reduce((a, b) => (a > b ? a : b));

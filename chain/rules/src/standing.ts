import { RuleError } from "./errors.ts";
import { LOG2_BITS, log2Ceil, log2Floor } from "./fixedPoint.ts";

export type StandingState = "good" | "suspended" | "excluded";

export interface StandingInput {
  /** Checks that ended valid, and confirmed failures; abstentions are neither. */
  readonly passes: bigint;
  readonly fails: bigint;
  /** Upper confidence bound of the false-positive rate of one check, in millionths; 1 … 999_999. */
  readonly alphaMicros: number;
  /** Operators whose verdicts confirmed the failures. */
  readonly distinctFailOperators: number;
  /** From `recentEvidence`, over the same checks. */
  readonly recentLog2: bigint;
}

/** Bets of the mixture, in thousandths: the share of the wealth that each stakes on the next check failing. */
const BETS = [3n, 10n, 30n, 100n, 300n, 700n, 950n] as const;
const MICROS = 1_000_000n;

/** Wealth 2·10^9: by Ville's inequality an honest participant ever gets there with probability ≤ ½·10^-9. */
const EXCLUDE = log2Ceil(2_000_000_000n, 1n);
/** Wealth 10^4: less traffic while evidence gathers. */
const SUSPEND = log2Ceil(10_000n, 1n);
/** The bet of the recent evidence: a tenth, with which a cheat in ten grows it fastest. */
const RECENT = 3;
/**
 * Recent evidence starts anew from 1 whenever it falls below, so within n checks an honest participant gets to W with probability ≤
 * n / W: 2·10^16 is ½·10^-9 over 10^7 checks, and 2^24 is one suspension in 10^7 checks.
 */
const RECENT_EXCLUDE = log2Ceil(20_000_000_000_000_000n, 1n);
const RECENT_SUSPEND = 24n << LOG2_BITS;
/** More is not kept: who stops failing is out of suspension within 270 passes. */
const RECENT_MOST = 64n << LOG2_BITS;
/** No single check multiplies the wealth by more than this. */
const CAP = log2Floor(1_000n, 1n);
const BETS_LOG2 = log2Ceil(BigInt(BETS.length), 1n);
const MIN_FAILS = 3n;
const MIN_OPERATORS = 2;

/**
 * The e-process over a participant's checks, as log2 with 32 fractional bits (verification.md §5). Each check multiplies
 * the wealth of a bet λ by 1 + λ(1[fail]/α − 1), so that under the null "fails with probability ≤ α" the expectation
 * does not grow. The equal mixture over the bets is at least its best bet divided by their number, and that lower bound
 * needs only the two counts. A long honest past lowers the wealth of every bet, and would shield who begins to cheat late: the recent
 * evidence, which never falls below where it began, does not know it. Rounding is always against exclusion.
 */
export function standing(input: StandingInput): { log2E: bigint; state: StandingState } {
  const { passes, fails, alphaMicros, distinctFailOperators, recentLog2 } = input;
  if (passes < 0n || fails < 0n) throw new RuleError("invalid_statistics", "passes", "counts are not negative");
  if (recentLog2 < 0n) throw new RuleError("invalid_statistics", "recentLog2", "recent evidence is not negative");
  checkAlpha(alphaMicros);
  let best: bigint | undefined;
  const gains = gainsAt(alphaMicros);
  for (const [i, loss] of LOSSES.entries()) {
    const wealth = passes * loss + fails * gains[i]!;
    if (best === undefined || wealth > best) best = wealth;
  }
  const log2E = (best ?? 0n) - BETS_LOG2;
  const convincing = log2E >= EXCLUDE || recentLog2 >= RECENT_EXCLUDE;
  if (convincing && fails >= MIN_FAILS && distinctFailOperators >= MIN_OPERATORS) return { log2E, state: "excluded" };
  return { log2E, state: log2E >= SUSPEND || recentLog2 >= RECENT_SUSPEND ? "suspended" : "good" };
}

/** CUSUM: log2 of the wealth of one bet, 32 fractional bits, after one more check, or several of one outcome; begins at 0 and begins again whenever it is lost. */
export function recentEvidence(before: bigint, failed: boolean, alphaMicros: number, times = 1n): bigint {
  checkAlpha(alphaMicros);
  const step = failed ? gainsAt(alphaMicros)[RECENT]! : LOSSES[RECENT]!;
  const after = before + step * times;
  if (after < 0n) return 0n;
  return after < RECENT_MOST ? after : RECENT_MOST;
}

function checkAlpha(alphaMicros: number): void {
  if (Number.isInteger(alphaMicros) && alphaMicros >= 1 && alphaMicros <= 999_999) return;
  throw new RuleError("invalid_rate", "alphaMicros", "an integer from 1 to 999999", { alphaMicros });
}

/** log2 of what a pass leaves of each bet. */
const LOSSES = BETS.map((bet) => log2Floor(1_000n - bet, 1_000n));
/** Tables of the α asked for: parameters of the chain, which hardly ever change. */
const tables = new Map<number, readonly bigint[]>();
const MAX_TABLES = 16;

function gainsAt(alphaMicros: number): readonly bigint[] {
  const known = tables.get(alphaMicros);
  if (known !== undefined) return known;
  if (tables.size === MAX_TABLES) tables.clear();
  const gains = BETS.map((bet) => gain(bet, BigInt(alphaMicros)));
  tables.set(alphaMicros, gains);
  return gains;
}

/** log2(1 + λ(1/α − 1)), capped. */
function gain(bet: bigint, alpha: bigint): bigint {
  const factor = log2Floor(1_000n * alpha + bet * (MICROS - alpha), 1_000n * alpha);
  return factor < CAP ? factor : CAP;
}

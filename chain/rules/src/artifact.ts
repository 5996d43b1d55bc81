import { BitReader, BitWriter } from "./bits.ts";
import { RuleError } from "./errors.ts";
import { compareBytes } from "./hash.ts";

/** Nats per unit of a coded log-probability. No coarser than twice the honest noise, or rounding hides other weights. */
export type ArtifactStep = "1/16" | "1/32" | "1/64" | "1/128";

export interface TokenLogprob {
  readonly id: number;
  /** Natural, over the whole vocabulary, before temperature, top-k and top-p. */
  readonly logprob: number;
}

/** One output position as an engine reports it: the chosen token and the most likely ones, the chosen among them. */
export interface ArtifactPosition {
  readonly id: number;
  readonly top: readonly TokenLogprob[];
}

/** One output position as the artifact keeps it. Which tokens the others are, the validator's own prefill says. */
export interface PositionValues {
  /** Where in `values` the chosen token is. */
  readonly rank: number;
  /** Falling log-probabilities of the k most likely tokens; where the chosen one is not among them, its own comes last. */
  readonly values: readonly number[];
}

export interface ArtifactCoding {
  readonly step: ArtifactStep;
  /** Alternatives kept at each position, 1 … 20. */
  readonly k: number;
}

/** Nothing below is told apart: e^-9 of the probability mass. */
export const FLOOR_NATS = 9;
export const MAX_ALTERNATIVES = 20;
const UNITS: Readonly<Record<ArtifactStep, number>> = { "1/16": 16, "1/32": 32, "1/64": 64, "1/128": 128 };
export const ARTIFACT_STEPS: readonly ArtifactStep[] = ["1/16", "1/32", "1/64", "1/128"];
const VERSION = 2;

/**
 * Canonical bytes: version and step, k, then bits, filled up with zeros. For each position the rank of the chosen token in unary
 * (k for one that is not among the k), and its values in units below 0: the gaps between neighbours as Golomb–Rice codes whose
 * parameter follows the mean of the gaps seen so far at that rank. Below a value at the floor there are no more gaps.
 */
export function encodeArtifact(
  positions: readonly (ArtifactPosition | PositionValues)[],
  coding: ArtifactCoding,
): Uint8Array {
  const writer = new BitWriter([(VERSION << 4) | ARTIFACT_STEPS.indexOf(coding.step), checkedK(coding.k)]);
  const gaps = new GapCoder(coding);
  for (const position of positions) {
    const { rank, units } = "top" in position ? unitsOf(position, coding) : unitsOfValues(position, coding);
    writer.unary(rank, coding.k);
    let before = 0;
    for (const [column, value] of units.entries()) {
      if (before === gaps.floor) break;
      gaps.write(writer, column, value - before);
      before = value;
    }
  }
  return writer.finish();
}

export interface DecodedArtifact extends ArtifactCoding {
  /** Log-probabilities as they were quantised. */
  readonly positions: readonly PositionValues[];
}

/**
 * The positions of an artifact. Throws `invalid_artifact` on anything but the one canonical encoding of `length` positions: wrong
 * length, values below the floor, other codes of the same values, trailing bytes, more alternatives than tokens.
 */
export function decodeArtifact(
  bytes: Uint8Array,
  expected: { readonly length: number; readonly vocabularySize: number },
): DecodedArtifact {
  const step = ARTIFACT_STEPS[(bytes[0] ?? 0xff) & 0x0f];
  const k = bytes[1] ?? 0;
  if (bytes[0] === undefined || bytes[0] >> 4 !== VERSION || step === undefined) throw invalid("unknown version");
  if (k < 1 || k > MAX_ALTERNATIVES || k > expected.vocabularySize) throw invalid("number of alternatives");
  // The shortest position is one bit: what claims more positions than that is refused before any is read.
  if (expected.length > 8 * bytes.length) throw invalid("too short");
  const reader = new BitReader(bytes, 2, () => invalid("too short"));
  const gaps = new GapCoder({ step, k });
  const positions: PositionValues[] = [];
  for (let i = 0; i < expected.length; i++) {
    const rank = reader.unary(k);
    const values: number[] = [];
    let q = 0;
    for (let column = 0; column < k + (rank === k ? 1 : 0); column++) {
      if (q < gaps.floor) q += gaps.read(reader, column);
      if (q > gaps.floor) throw invalid("below the floor");
      values.push(q === 0 ? 0 : -q / UNITS[step]);
    }
    positions.push({ rank, values });
  }
  // One encoding only: whatever was let through must be what the encoder writes.
  if (compareBytes(encodeArtifact(positions, { step, k }), bytes) !== 0) throw invalid("not canonical");
  return { step, k, positions };
}

/** What the artifact keeps of a reported position, before quantising. Throws `invalid_artifact` where it is none. */
export function positionValues({ id: chosen, top }: ArtifactPosition, k: number): PositionValues {
  for (const { id, logprob } of top) {
    if (!Number.isInteger(id) || id < 0 || id > 0x7fffffff) throw invalid("token id");
    // The sum of a softmax in 32 bits can make a certain token a hair more than certain.
    if (Number.isNaN(logprob) || logprob > 0.5) throw invalid("log-probability");
  }
  const sorted = top.toSorted((a, b) => b.logprob - a.logprob || a.id - b.id);
  if (new Set(top.map(({ id }) => id)).size !== top.length) throw invalid("repeated token id");
  const at = sorted.findIndex(({ id }) => id === chosen);
  if (at === -1) throw invalid("the chosen token is missing");
  const values = sorted.slice(0, k).map(({ logprob }) => logprob);
  // What an engine does not list is as good as impossible.
  while (values.length < k) values.push(-FLOOR_NATS);
  return at < k ? { rank: at, values } : { rank: k, values: [...values, sorted[at]!.logprob] };
}

/** Golomb–Rice codes of the gaps between neighbouring values, one adapting parameter for each rank. */
class GapCoder {
  readonly floor: number;
  readonly #sums: number[];
  readonly #counts: number[];
  readonly #rawBits: number;

  constructor({ step, k }: ArtifactCoding) {
    this.floor = FLOOR_NATS * UNITS[step];
    this.#rawBits = Math.ceil(Math.log2(this.floor + 1));
    // As if four gaps of half a nat had been seen.
    this.#counts = Array.from({ length: k + 1 }, () => 4);
    this.#sums = Array.from({ length: k + 1 }, () => 2 * UNITS[step]);
  }

  write(writer: BitWriter, column: number, gap: number): void {
    const low = this.#parameter(column);
    const quotient = gap >> low;
    writer.unary(Math.min(quotient, MAX_QUOTIENT), MAX_QUOTIENT);
    if (quotient < MAX_QUOTIENT) writer.bits(gap & ((1 << low) - 1), low);
    else writer.bits(gap, this.#rawBits);
    this.#adapt(column, gap);
  }

  read(reader: BitReader, column: number): number {
    const low = this.#parameter(column);
    const quotient = reader.unary(MAX_QUOTIENT);
    const gap = quotient < MAX_QUOTIENT ? (quotient << low) | reader.bits(low) : reader.bits(this.#rawBits);
    this.#adapt(column, gap);
    return gap;
  }

  #parameter(column: number): number {
    let low = 0;
    while (this.#counts[column]! << low < this.#sums[column]!) low++;
    return low;
  }

  #adapt(column: number, gap: number): void {
    this.#sums[column]! += gap;
    this.#counts[column]! += 1;
    if (this.#counts[column]! < 32) return;
    this.#sums[column]! >>= 1;
    this.#counts[column]! >>= 1;
  }
}

/** Gaps of more than so many times 2^parameter are written out. */
const MAX_QUOTIENT = 12;

const unitsOf = (position: ArtifactPosition, coding: ArtifactCoding) =>
  unitsOfValues(positionValues(position, coding.k), coding);

function unitsOfValues({ rank, values }: PositionValues, { step, k }: ArtifactCoding) {
  const floor = FLOOR_NATS * UNITS[step];
  if (!Number.isInteger(rank) || rank < 0 || rank > k || values.length !== k + (rank === k ? 1 : 0)) {
    throw invalid("values of a position");
  }
  const units = values.map((value) => Math.min(floor, Math.max(0, Math.round(-value * UNITS[step]))));
  if (units.some((value, i) => !(value >= (units[i - 1] ?? 0)))) throw invalid("values that do not fall");
  return { rank, units };
}

function checkedK(k: number): number {
  if (!Number.isInteger(k) || k < 1 || k > MAX_ALTERNATIVES) throw invalid("number of alternatives");
  return k;
}

function invalid(what: string): RuleError {
  return new RuleError("invalid_artifact", "artifact", `not an artifact: ${what}`);
}

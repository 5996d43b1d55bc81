/**
 * A validator's own log-probabilities as it commits to them: windows of 32 positions in the artifact's coding, under one root. A second look has one
 * window opened, drawn when nobody can change its values any more, and compares it in whole units: no floats, no threshold of any profile.
 */
import {
  type ArtifactCoding,
  type ArtifactPosition,
  decodeArtifact,
  encodeArtifact,
  MAX_ALTERNATIVES,
} from "./artifact.ts";
import { climb, merkleRoot, pathOf, WINDOW_TOKENS, windowCount } from "./artifactTree.ts";
import { drawnBelow } from "./draw.ts";
import { RuleError } from "./errors.ts";
import { compareBytes, domainHash, sha256 } from "./hash.ts";

/** Units of the coding's step, in which two honest validators are not apart: over twenty times the honest noise at any step. */
export const FAR_UNITS = 16;
/** What 32 positions of twenty alternatives take at the most. */
export const MAX_WINDOW_BYTES = 2_048;
const MAX_PATH = 32;

/** The coded windows of all positions that were scored, in order. */
export function valuesWindows(positions: readonly ArtifactPosition[], coding: ArtifactCoding): Uint8Array[] {
  return Array.from({ length: windowCount(positions.length) }, (_, index) =>
    encodeArtifact(positions.slice(index * WINDOW_TOKENS, (index + 1) * WINDOW_TOKENS), coding),
  );
}

/** What the commitment names as `valuesHash`; binds the number of positions. 32 bytes. */
export function valuesRoot(windows: readonly Uint8Array[], positions: number): Uint8Array {
  return rootOf(positions, merkleRoot(windows.map(leafOf)));
}

export interface ValuesOpening {
  readonly index: number;
  /** Of the whole output, as committed to. */
  readonly positions: number;
  readonly coded: Uint8Array;
  /** Siblings from the leaf up. */
  readonly path: readonly Uint8Array[];
}

/** Opens one window. Throws `invalid_artifact` where there is no such window. */
export function openValues(windows: readonly Uint8Array[], positions: number, index: number): ValuesOpening {
  const coded = windows[index];
  if (coded === undefined) throw noWindow("no such window");
  return { index, positions, coded, path: pathOf(windows.map(leafOf), index) };
}

/** The number of positions in an opened window. Throws `invalid_artifact` where it is not what the root commits to, or no coded values. */
export function checkValuesWindow(root: Uint8Array, { index, positions, coded, path }: ValuesOpening): number {
  const size = windowCount(positions);
  if (index >= size) throw noWindow("no such window");
  if (coded.length > MAX_WINDOW_BYTES || path.length > MAX_PATH) throw noWindow("too long");
  const top = climb(leafOf(coded, index), index, size, [...path]);
  if (top === undefined || compareBytes(rootOf(positions, top), root) !== 0)
    throw noWindow("not what was committed to");
  const length = Math.min(WINDOW_TOKENS, positions - index * WINDOW_TOKENS);
  decodeArtifact(coded, { length, vocabularySize: MAX_ALTERNATIVES });
  return length;
}

/** The window of an output of `tokens` > 0 tokens that a second look has opened; `beacon` is of the height at which the last validator committed. */
export function drawnWindow(beacon: Uint8Array, inferenceId: Uint8Array, tokens: number): number {
  return drawnBelow(windowCount(tokens), domainHash("karat/values-window", beacon, inferenceId));
}

/**
 * Whether two opened windows of `length` positions can be of one model at one place: the same coding, and at no more than a quarter of the positions a
 * value that is FAR_UNITS or more from the other's of the same rank.
 */
export function valuesAgree(a: Uint8Array, b: Uint8Array, length: number): boolean {
  const [one, other] = [a, b].map((coded) => decodeArtifact(coded, { length, vocabularySize: MAX_ALTERNATIVES }));
  if (one === undefined || other === undefined || one.step !== other.step || one.k !== other.k) return false;
  const units = Number(one.step.slice("1/".length));
  const isFar = (i: number): boolean =>
    one.positions[i]!.values.slice(0, one.k).some(
      (value, j) => Math.abs(value - other.positions[i]!.values[j]!) * units >= FAR_UNITS,
    );
  let far = 0;
  for (let i = 0; i < length; i++) if (isFar(i)) far++;
  return 4 * far <= length;
}

const leafOf = (coded: Uint8Array, index: number): Uint8Array =>
  sha256(Uint8Array.of(0), domainHash("karat/values-leaf", BigInt(index), coded));
const rootOf = (positions: number, top: Uint8Array): Uint8Array =>
  domainHash("karat/values-root", BigInt(positions), top);
const noWindow = (what: string): RuleError =>
  new RuleError("invalid_artifact", "values", `not a window of values: ${what}`);

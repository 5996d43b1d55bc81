import { sha256 } from "@noble/hashes/sha2.js";
import {
  distanceInside,
  distanceToEdge,
  penalised,
  type Ranked,
  restrict,
  type TokenCounts,
  type TokenLogit,
} from "./allowedSet.ts";
import { ln } from "./elementary.ts";
import { RuleError } from "./errors.ts";
import { domainHash } from "./hash.ts";
import { type SamplingParams, temperatureOf } from "./samplingParams.ts";

/**
 * The token that the seed demands at `position` (absolute output index): argmax over the allowed set of
 * logit + T·gumbel, ties to the lowest id. `logits` must hold at least the `topK` highest of the raw logits; order does
 * not matter. `previousIds` counts the output's earlier tokens and is read by the penalties only.
 */
export function sample(
  params: SamplingParams,
  seed: Uint8Array,
  position: number,
  logits: readonly TokenLogit[],
  previousIds?: TokenCounts,
): number {
  const { allowed } = restrict(params, logits, previousIds);
  const temperature = temperatureOf(params);
  return demandedToken(temperature, noiseAt(temperature, seed, position), allowed);
}

export interface Margin {
  /** How much the chosen token's logit is short of being the demanded one: 0 when it is. In logits. */
  readonly margin: number;
  /** The token that the seed demands on these logits. */
  readonly demanded: number;
}

/**
 * How far `chosenId` is from what the seed demands on the validator's own `logits`, which must cover the `topK` highest
 * (one more sharpens the edge) and `chosenId`.
 *
 * Inside the allowed set this is max_A(l + T·g) − (l + T·g)(chosen). At the edge of the set a logit error can decide
 * who is in it, for either party, so both directions are priced by the smallest shift of logits that explains the choice:
 * a token outside pays at least its distance to the edge, and a rival counts for no more than its own distance inside it.
 */
export function margin(
  params: SamplingParams,
  seed: Uint8Array,
  position: number,
  logits: readonly TokenLogit[],
  chosenId: number,
  previousIds?: TokenCounts,
): Margin {
  const temperature = temperatureOf(params);
  const restricted = restrict(params, logits, previousIds);
  const noise = noiseAt(temperature, seed, position);
  const demanded = demandedToken(temperature, noise, restricted.allowed);
  if (demanded === chosenId) return { margin: 0, demanded };

  const chosen = restricted.all.find((token) => token.id === chosenId);
  if (chosen === undefined) {
    throw new RuleError("invalid_logits", "chosenId", "the logits do not cover the chosen token", { chosenId });
  }
  const score = chosen.logit + temperature * noise(chosenId);
  let shortfall = distanceToEdge(chosen, restricted);
  for (const rival of restricted.allowed) {
    if (rival.id === chosenId) continue;
    const lead = rival.logit + temperature * noise(rival.id) - score;
    const explained = Math.min(lead, distanceInside(rival, params, temperature, restricted));
    if (explained > shortfall) shortfall = explained;
  }
  return { margin: shortfall, demanded };
}

/** Logits with the frequency and presence penalties taken off, as the OpenAI API defines them; same order. */
export function adjustLogits(
  params: SamplingParams,
  logits: readonly TokenLogit[],
  countsOfPrevious?: TokenCounts,
): TokenLogit[] {
  return logits.map(([id, logit]) => [id, penalised(params, id, logit, countsOfPrevious)] as const);
}

/**
 * The tokens that may be chosen, by falling adjusted logit: the `topK` highest of the *raw* logits, and of those what
 * top-p and min-p leave on the adjusted logits at the request's temperature. Ties by lowest id. Never empty.
 */
export function allowedSet(
  params: SamplingParams,
  logits: readonly TokenLogit[],
  countsOfPrevious?: TokenCounts,
): TokenLogit[] {
  return restrict(params, logits, countsOfPrevious).allowed.map(({ id, logit }) => [id, logit] as const);
}

/**
 * The seed of one inference. Nobody who runs it can choose it: the beacon is of the authorization's anchor height and
 * `tag` is empty in version 1, later the transfer agent's VRF output.
 */
export function samplingSeed(
  chainId: string,
  inferenceId: Uint8Array,
  beacon: Uint8Array,
  tag: Uint8Array = new Uint8Array(),
): Uint8Array {
  return domainHash("karat/seed", chainId, inferenceId, beacon, tag);
}

/**
 * Standard Gumbel noise of one token at one position: g = −ln(−ln u), u = (n + ½)/2^53 with n the first 53 bits of
 * SHA-256(seed ‖ u32 position ‖ u32 id), big-endian. Between −3.7 and 36.8. Where n + ½ would round to 2^53, u is 1 − 2^-53.
 */
export function gumbel(seed: Uint8Array, position: number, id: number): number {
  return gumbelAt(seed, position)(id);
}

/** The noise of one position, for many tokens: the bytes to hash are laid out once. */
function gumbelAt(seed: Uint8Array, position: number): (id: number) => number {
  const block = new Uint8Array(seed.length + 8);
  block.set(seed);
  const view = new DataView(block.buffer);
  view.setUint32(seed.length, position);
  return (id) => {
    view.setUint32(seed.length + 4, id);
    const d = sha256(block);
    const high = ((d[0]! << 24) | (d[1]! << 16) | (d[2]! << 8) | d[3]!) >>> 0;
    const low = ((d[4]! << 24) | (d[5]! << 16) | (d[6]! << 8) | d[7]!) >>> 11;
    const u = Math.min((high * 2097152 + low + 0.5) / 9007199254740992, 1 - 1 / 9007199254740992);
    return -ln(-ln(u));
  };
}

/** Argmax of logit + T·noise over tokens by falling logit, ties to the lowest id. */
function demandedToken(temperature: number, noise: (id: number) => number, allowed: readonly Ranked[]): number {
  let demanded = -1;
  let score = Number.NEGATIVE_INFINITY;
  for (const { id, logit } of allowed) {
    // Falling logits: once even the largest possible noise cannot win, nothing after can. Saves hashes.
    if (logit + temperature * MAX_GUMBEL < score) break;
    const own = logit + temperature * noise(id);
    if (own > score || (own === score && id < demanded)) {
      demanded = id;
      score = own;
    }
  }
  return demanded;
}

/** Above −ln(−ln(1 − 2^-53)) = 36.74. */
const MAX_GUMBEL = 37;

/** None at temperature 0. */
function noiseAt(temperature: number, seed: Uint8Array, position: number): (id: number) => number {
  return temperature === 0 ? () => 0 : gumbelAt(seed, position);
}

import { RuleError } from "./errors.ts";
import { domainHash } from "./hash.ts";

/** How a token is chosen. Fractions are integers in millionths, so that they can be signed and kept on chain. */
export interface SamplingParams {
  /** 0 (greedy) … 2_000_000. */
  readonly temperatureMicros: number;
  /** 1 … 64: how many of the highest raw logits may be chosen. */
  readonly topK: number;
  /** 0 … 1_000_000; 0 leaves the most likely token alone. */
  readonly topPMicros: number;
  /** 0 … 1_000_000, relative to the most likely token. */
  readonly minPMicros: number;
  /** −2_000_000 … 2_000_000, logits per earlier occurrence in the output. */
  readonly frequencyPenaltyMicros: number;
  /** −2_000_000 … 2_000_000, logits once for a token that has occurred in the output. */
  readonly presencePenaltyMicros: number;
}

export const MAX_TOP_K = 64;
export const MICROS = 1_000_000;

export const DEFAULT_SAMPLING: SamplingParams = {
  temperatureMicros: MICROS,
  topK: MAX_TOP_K,
  topPMicros: MICROS,
  minPMicros: 0,
  frequencyPenaltyMicros: 0,
  presencePenaltyMicros: 0,
};

/** Throws `invalid_sampling` with the field's name; returns the parameters without anything else that came along. */
export function validateSampling(params: SamplingParams): SamplingParams {
  return {
    temperatureMicros: bounded(params, "temperatureMicros", 0, 2 * MICROS),
    topK: bounded(params, "topK", 1, MAX_TOP_K),
    topPMicros: bounded(params, "topPMicros", 0, MICROS),
    minPMicros: bounded(params, "minPMicros", 0, MICROS),
    frequencyPenaltyMicros: bounded(params, "frequencyPenaltyMicros", -2 * MICROS, 2 * MICROS),
    presencePenaltyMicros: bounded(params, "presencePenaltyMicros", -2 * MICROS, 2 * MICROS),
  };
}

/** Hash of the parameters as the artifact's leaves bind them. */
export function samplingHash(params: SamplingParams): Uint8Array {
  const checked = validateSampling(params);
  // Penalties can be negative: shifted into the unsigned range that domainHash encodes.
  return domainHash(
    "karat/sampling",
    BigInt(checked.temperatureMicros),
    BigInt(checked.topK),
    BigInt(checked.topPMicros),
    BigInt(checked.minPMicros),
    BigInt(checked.frequencyPenaltyMicros + 2 * MICROS),
    BigInt(checked.presencePenaltyMicros + 2 * MICROS),
  );
}

/** Nearest integer number of millionths. */
export function toMicros(value: number): number {
  const micros = Math.round(value * MICROS);
  return micros === 0 ? 0 : micros;
}

/** The temperature as a float; 0 is greedy. */
export function temperatureOf(params: SamplingParams): number {
  return params.temperatureMicros / MICROS;
}

function bounded(params: SamplingParams, field: keyof SamplingParams, least: number, most: number): number {
  const value: unknown = params[field];
  if (typeof value !== "number" || !Number.isInteger(value) || value < least || value > most) {
    throw new RuleError("invalid_sampling", field, `${field}: an integer from ${least} to ${most}`, { value });
  }
  return value === 0 ? 0 : value;
}

/** What a check says, and what it needs; the same for texts and for vectors. */
import { isKaratError } from "@karat/common";
import { isRuleError, type Profile } from "@karat/rules";
import type { InferenceEngine } from "../engine/engine.ts";
import type { Prefills } from "./prefills.ts";

export interface ScoreResult {
  verdict: "pass" | "fail" | "abstain";
  /** ⌈−log2 p⌉, 0…10: 10 for what cannot happen to an honest executor. */
  p_bucket: number;
  reason: string;
  statistics: Readonly<Record<string, number>>;
  /** On request. `spread` is null where too little is above the floor to compare. */
  positions?: readonly {
    id: number;
    token: string;
    demanded: number;
    demanded_token: string;
    margin: number;
    spread: number | null;
  }[];
  /** On request, of an embedding: of each vector. */
  distances?: readonly number[];
}

/** A validator's own view, to be committed before it sees the executor's. */
export interface PrefillResult {
  /** Root of the own values: log-probabilities, or sketches of vectors. */
  values_hash: string;
  /** They themselves, base64: windows of 32 positions coded as an artifact, of which a committee has one opened. */
  windows: string[];
  /** What sampling shows: it never reads the artifact. */
  gated_margins: number;
  positions: number;
}

export interface ScoringContext {
  readonly engine: InferenceEngine;
  readonly profile: Profile | undefined;
  readonly prefills: Prefills;
  /** Engines of the models that an unseeded profile names, in its order; none otherwise. */
  readonly substitutes?: readonly InferenceEngine[];
}

export const certainFail = (reason: string): ScoreResult => ({
  verdict: "fail",
  p_bucket: 10,
  reason,
  statistics: {},
});
export const abstain = (reason: string): ScoreResult => ({ verdict: "abstain", p_bucket: 0, reason, statistics: {} });

/** Codes with which an engine refuses a request that it could not have answered either. */
const REFUSALS = ["context_length_exceeded", "invalid_prompt", "invalid_request", "unsupported_constraint"];

/** What the engine refuses is no evidence either way. */
export async function guarded<T>(run: () => Promise<T>): Promise<T | ScoreResult> {
  try {
    return await run();
  } catch (error) {
    if (isKaratError(error, ...REFUSALS)) return abstain(error.code);
    if (isRuleError(error, "invalid_request")) return abstain("unsupported_constraint");
    if (isRuleError(error, "invalid_profile")) return abstain("profile_without_this_length");
    throw error;
  }
}

/** What `decode` reads; undefined where the bytes are no artifact. */
export function readArtifact<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch (error) {
    if (isRuleError(error, "invalid_artifact")) return undefined;
    throw error;
  }
}

/** The output and those that are judged with it. What is impossible in one is so for all; pooled ones that say nothing are left out. */
export async function withPooled<R extends { readonly pooled: readonly R[] }, S extends object>(
  request: R,
  look: (request: R) => Promise<S | ScoreResult>,
): Promise<S[] | ScoreResult> {
  const first = await look(request);
  if ("verdict" in first) return first;
  const parts = [first];
  for (const pooled of request.pooled) {
    const part = await guarded(() => look(pooled));
    if (!("verdict" in part)) parts.push(part);
    else if (part.verdict === "fail") return part;
  }
  return parts;
}

/** The executor's record of an answer, in the rules' coding. */
import {
  type ArtifactCoding,
  type ArtifactPosition,
  artifactRoot,
  encodeArtifact,
  type Profile,
  tokensHash,
} from "@karat/rules";
import type { Answer, RecordedPosition } from "./answer.ts";
import type { KaratRequest } from "./requests.ts";

/** Under twice the honest noise of an engine with 32-bit logits; five alternatives are what a transaction carries. */
const DEFAULT_CODING: ArtifactCoding = { step: "1/128", k: 5 };

/** The profile fixes the coding, so that executor and validators of one model agree. */
export const codingOf = (profile: Profile | undefined): ArtifactCoding =>
  profile ? { step: profile.step, k: profile.k } : DEFAULT_CODING;

/** SHA-256 of the prompt's token ids, u32 little-endian each. */
export const promptHash = tokensHash;

/** What the artifact keeps of a position: the k most likely tokens, and the chosen one in any case. */
export function artifactPosition({ id, logprob, top }: RecordedPosition, k: number): ArtifactPosition {
  const kept = top.slice(0, k);
  return { id, top: kept.some((entry) => entry.id === id) ? kept : [...kept, { id, logprob }] };
}

/** Canonical bytes of the artifact and the root that commits to it, to the prompt, the parameters and the seed. */
export function buildArtifact(
  coding: ArtifactCoding,
  answer: Answer,
  { sampling, seed, inferenceId }: Pick<KaratRequest, "sampling" | "seed" | "inferenceId">,
): { artifact: Uint8Array; root: Uint8Array } {
  const positions = answer.positions.map((position) => artifactPosition(position, coding.k));
  const commitment = {
    ...coding,
    inferenceId,
    promptHash: promptHash(answer.promptIds),
    params: sampling,
    seed,
    positions,
  };
  return { artifact: encodeArtifact(positions, coding), root: artifactRoot(commitment) };
}

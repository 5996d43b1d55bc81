import { type ArtifactCoding, type ArtifactPosition, encodeArtifact, type PositionValues } from "./artifact.ts";
import { RuleError } from "./errors.ts";
import { compareBytes, concatBytes, domainHash, sha256, u32 } from "./hash.ts";
import { type SamplingParams, samplingHash } from "./samplingParams.ts";

export const WINDOW_TOKENS = 32;

/** A position with its token id. */
export type CommittedPosition = ArtifactPosition | (PositionValues & { readonly id: number });

export interface ArtifactCommitment extends ArtifactCoding {
  readonly inferenceId: Uint8Array;
  /** SHA-256 of the prompt's token ids, u32 little-endian each. */
  readonly promptHash: Uint8Array;
  readonly params: SamplingParams;
  readonly seed: Uint8Array;
  /** As an engine reports them, or as decoded with the token ids beside: both have the same root. */
  readonly positions: readonly CommittedPosition[];
}

/**
 * The Merkle root that the executor commits before any draw can name the inference. A leaf is a window of 32 positions
 * and binds inference, prompt, sampling parameters, seed, window index, token ids and coded values; the root binds the
 * number of positions too. Tree as RFC 6962.
 */
export function artifactRoot(commitment: ArtifactCommitment): Uint8Array {
  return rootOf(commitment.positions.length, merkleRoot(leaves(commitment)));
}

/** The leaf of one window: `window.positions` are those of the window alone. Compare it with the `leaf` of a proof. */
export function artifactLeaf(window: ArtifactCommitment, index: number): Uint8Array {
  const { inferenceId, promptHash, params, seed, positions, step, k } = window;
  const ids = concatBytes(...positions.map(({ id }) => u32(id)));
  const coded = encodeArtifact(positions, { step, k });
  const bound = samplingHash(params);
  return sha256(
    Uint8Array.of(0),
    domainHash("karat/artifact-leaf", inferenceId, promptHash, bound, seed, BigInt(index), ids, coded),
  );
}

export interface ArtifactProof {
  readonly index: number;
  readonly leaf: Uint8Array;
  /** Siblings from the leaf up. */
  readonly path: readonly Uint8Array[];
  readonly positions: number;
}

/** Opens one window. */
export function artifactProof(commitment: ArtifactCommitment, index: number): ArtifactProof {
  const all = leaves(commitment);
  const leaf = all[index];
  if (leaf === undefined) throw noSuchWindow();
  return { index, leaf, path: pathOf(all, index), positions: commitment.positions.length };
}

export function verifyArtifactProof(root: Uint8Array, proof: ArtifactProof): boolean {
  const size = windowCount(proof.positions);
  if (!Number.isInteger(proof.index) || proof.index < 0 || proof.index >= size) return false;
  const top = climb(proof.leaf, proof.index, size, [...proof.path]);
  return top !== undefined && compareBytes(rootOf(proof.positions, top), root) === 0;
}

export const windowCount = (positions: number): number => Math.max(1, Math.ceil(positions / WINDOW_TOKENS));

function leaves(commitment: ArtifactCommitment): Uint8Array[] {
  const { positions } = commitment;
  return Array.from({ length: windowCount(positions.length) }, (_, index) =>
    artifactLeaf(
      { ...commitment, positions: positions.slice(index * WINDOW_TOKENS, (index + 1) * WINDOW_TOKENS) },
      index,
    ),
  );
}

const rootOf = (positions: number, top: Uint8Array): Uint8Array =>
  domainHash("karat/artifact-root", BigInt(positions), top);
const parent = (left: Uint8Array, right: Uint8Array): Uint8Array => sha256(Uint8Array.of(1), left, right);

/** The largest power of two below n, for n ≥ 2. */
function split(n: number): number {
  let at = 1;
  while (at * 2 < n) at *= 2;
  return at;
}

export function merkleRoot(nodes: readonly Uint8Array[]): Uint8Array {
  if (nodes.length === 1) return nodes[0]!;
  const at = split(nodes.length);
  return parent(merkleRoot(nodes.slice(0, at)), merkleRoot(nodes.slice(at)));
}

export function pathOf(nodes: readonly Uint8Array[], index: number): Uint8Array[] {
  if (nodes.length === 1) return [];
  const at = split(nodes.length);
  return index < at
    ? [...pathOf(nodes.slice(0, at), index), merkleRoot(nodes.slice(at))]
    : [...pathOf(nodes.slice(at), index - at), merkleRoot(nodes.slice(0, at))];
}

/** Consumes the path from its end (the top); undefined when it is too short or too long. */
export function climb(leaf: Uint8Array, index: number, size: number, path: Uint8Array[]): Uint8Array | undefined {
  if (size === 1) return path.length === 0 ? leaf : undefined;
  const sibling = path.pop();
  if (sibling === undefined) return undefined;
  const at = split(size);
  const below = index < at ? climb(leaf, index, at, path) : climb(leaf, index - at, size - at, path);
  if (below === undefined) return undefined;
  return index < at ? parent(below, sibling) : parent(sibling, below);
}

function noSuchWindow(): RuleError {
  return new RuleError("invalid_artifact", "artifact", "not an artifact: no such window");
}

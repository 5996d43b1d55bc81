import {
  CommitmentProof,
  type ExistenceProof,
  HashOp,
  type InnerOp,
  LengthOp,
} from "cosmjs-types/cosmos/ics23/v1/proofs";
import { concat, equalBytes, invalid, sha256 } from "./support.ts";

/** Which of its two children an inner step continues from. */
export type Side = "left" | "right";

/**
 * What a proof of one kind of tree must look like, so that no other preimage passes for a node. Stricter than the
 * ICS-23 specs of the same names: every byte of a prefix has a meaning that is checked.
 */
export interface ProofSpec {
  /** Throws `invalid_proof` unless this can be the prefix of a leaf. */
  checkLeafPrefix(prefix: Uint8Array): void;
  /** The side of a step; throws `invalid_proof` unless it can be the `depth`-th above the leaf (from 1). */
  sideOf(step: InnerOp, depth: number): Side;
}

const MAX_PATH = 128;

/** The root that follows from an existence proof. The key and value are the proof's own: compare them. */
export function existenceRoot(spec: ProofSpec, proof: ExistenceProof): Uint8Array {
  const { leaf, key, value, path } = proof;
  const known =
    leaf !== undefined &&
    leaf.hash === HashOp.SHA256 &&
    leaf.prehashKey === HashOp.NO_HASH &&
    leaf.prehashValue === HashOp.SHA256 &&
    leaf.length === LengthOp.VAR_PROTO;
  if (!known) throw invalid("a leaf is hashed in another way");
  if (key.length === 0) throw invalid("a leaf has no key");
  if (path.length > MAX_PATH) throw invalid("a path is too long");
  spec.checkLeafPrefix(leaf.prefix);
  let hash = sha256(concat(leaf.prefix, uvarint(key.length), key, Uint8Array.of(32), sha256(value)));
  path.forEach((step, index) => {
    if (step.hash !== HashOp.SHA256) throw invalid("an inner node is hashed in another way");
    spec.sideOf(step, index + 1);
    hash = sha256(concat(step.prefix, hash, step.suffix));
  });
  return hash;
}

/** Whether nothing lies between two entries that were proven against the same root. */
export function areNeighbours(spec: ProofSpec, left: ExistenceProof, right: ExistenceProof): boolean {
  let inLeft = left.path.length;
  let inRight = right.path.length;
  // From the root down, until the paths part.
  while (inLeft > 0 && inRight > 0 && sameStep(left.path[inLeft - 1]!, right.path[inRight - 1]!)) {
    inLeft--;
    inRight--;
  }
  if (inLeft === 0 || inRight === 0) return false;
  const parting =
    spec.sideOf(left.path[inLeft - 1]!, inLeft) === "left" &&
    spec.sideOf(right.path[inRight - 1]!, inRight) === "right";
  return parting && keepsTo(spec, "right", left, inLeft - 1) && keepsTo(spec, "left", right, inRight - 1);
}

/** Whether the lowest `steps` steps of a path all continue from one side: the entry is the last (first) below there. */
export function keepsTo(spec: ProofSpec, side: Side, proof: ExistenceProof, steps = proof.path.length): boolean {
  return proof.path.slice(0, steps).every((step, index) => spec.sideOf(step, index + 1) === side);
}

const sameStep = (a: InnerOp, b: InnerOp): boolean => equalBytes(a.prefix, b.prefix) && equalBytes(a.suffix, b.suffix);

/** Throws `invalid_proof` unless the proof is of this entry. */
export function expectEntry(proof: ExistenceProof, key: Uint8Array, value: Uint8Array): void {
  if (!equalBytes(proof.key, key)) throw invalid("existence of another key is proven");
  if (!equalBytes(proof.value, value)) throw invalid("another value is proven");
}

/** Throws `invalid_proof`. */
export function decode(data: Uint8Array): CommitmentProof {
  try {
    return CommitmentProof.decode(data);
  } catch {
    throw invalid("the proof cannot be decoded");
  }
}

function uvarint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
  return Uint8Array.of(...bytes, rest);
}

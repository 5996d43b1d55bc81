import { hash } from "node:crypto";

/** SHA-256 of some bytes: 32 bytes. */
export const sha256 = (data: Uint8Array): Uint8Array => new Uint8Array(hash("sha256", data, "buffer"));

const LEAF = Uint8Array.of(0);
const INNER = Uint8Array.of(1);
const leafHash = (leaf: Uint8Array) => sha256(Buffer.concat([LEAF, leaf]));
const innerHash = (left: Uint8Array, right: Uint8Array) => sha256(Buffer.concat([INNER, left, right]));

/** The largest power of two below `count` (count ≥ 2): where RFC 6962 splits a list. */
function splitPoint(count: number): number {
  let half = 1;
  while (half * 2 < count) half *= 2;
  return half;
}

function rootOfHashes(hashes: Uint8Array[]): Uint8Array {
  if (hashes.length === 1) return hashes[0]!;
  const split = splitPoint(hashes.length);
  return innerHash(rootOfHashes(hashes.slice(0, split)), rootOfHashes(hashes.slice(split)));
}

/** The Merkle root of RFC 6962, section 2.1; of no leaves it is SHA-256 of nothing. */
export function merkleRoot(leaves: readonly Uint8Array[]): Uint8Array {
  return leaves.length === 0 ? sha256(new Uint8Array()) : rootOfHashes(leaves.map(leafHash));
}

export interface MerkleProof {
  readonly total: number;
  readonly index: number;
  readonly leafHash: Uint8Array;
  /** Sibling hashes from the leaf up to the root. */
  readonly aunts: Uint8Array[];
}

function aunts(hashes: Uint8Array[], index: number): Uint8Array[] {
  if (hashes.length === 1) return [];
  const split = splitPoint(hashes.length);
  const left = hashes.slice(0, split);
  const right = hashes.slice(split);
  return index < split
    ? [...aunts(left, index), rootOfHashes(right)]
    : [...aunts(right, index - split), rootOfHashes(left)];
}

/** The proof that `leaves[index]` is under `merkleRoot(leaves)`. `index` must be within the list. */
export function merkleProof(leaves: readonly Uint8Array[], index: number): MerkleProof {
  const hashes = leaves.map(leafHash);
  return { total: leaves.length, index, leafHash: hashes[index]!, aunts: aunts(hashes, index) };
}

/** True when the proof leads from `leaf` to `root`. */
export function verifyMerkleProof(root: Uint8Array, leaf: Uint8Array, proof: MerkleProof): boolean {
  const climb = (index: number, total: number, rest: readonly Uint8Array[]): Uint8Array | undefined => {
    if (total === 1) return rest.length === 0 ? leafHash(leaf) : undefined;
    const aunt = rest.at(-1);
    if (aunt === undefined) return undefined;
    const split = splitPoint(total);
    const below = rest.slice(0, -1);
    if (index < split) {
      const left = climb(index, split, below);
      return left && innerHash(left, aunt);
    }
    const right = climb(index - split, total - split, below);
    return right && innerHash(aunt, right);
  };
  if (proof.index < 0 || proof.index >= proof.total) return false;
  const found = climb(proof.index, proof.total, proof.aunts);
  return found !== undefined && Buffer.compare(found, root) === 0;
}

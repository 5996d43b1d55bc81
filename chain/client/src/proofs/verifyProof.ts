import { CommitmentProof, type ExistenceProof, type NonExistenceProof } from "cosmjs-types/cosmos/ics23/v1/proofs";
import { areNeighbours, existenceRoot, keepsTo } from "./existence.ts";
import { iavlSpec, simpleSpec } from "./specs.ts";
import { compareBytes, equalBytes, invalid, sha256 } from "./support.ts";

/** As `abci_query` with `prove` returns it; CosmJS: `response.proof.ops`. */
export interface ProofOp {
  type: string;
  key: Uint8Array;
  data: Uint8Array;
}

export interface ProofClaim {
  proofOps: readonly ProofOp[];
  /** Trusted, 32 bytes: of the header that follows the height of the query, for a header has the app hash of the block before. */
  appHash: Uint8Array;
  storeName: string;
  key: Uint8Array;
  /** What the key is claimed to hold; undefined claims that it is absent. */
  value: Uint8Array | undefined;
}

/**
 * Checks that `key` of a store has a value, or is absent, in the state of an app hash: an ICS-23 proof of the entry in
 * the store's IAVL+ tree (op `ics23:iavl`), then of the store's root among all stores (op `ics23:simple`).
 * Throws KaratError `invalid_proof` for anything else.
 */
export function verifyProof({ proofOps, appHash, storeName, key, value }: ProofClaim): void {
  const [entry, store, ...more] = proofOps;
  if (entry === undefined || store === undefined || more.length > 0) throw invalid("a proof has two steps");
  const name = new TextEncoder().encode(storeName);
  if (entry.type !== "ics23:iavl" || !equalBytes(entry.key, key)) throw invalid("the proof is of another key");
  if (store.type !== "ics23:simple" || !equalBytes(store.key, name)) throw invalid("the proof is of another store");
  const storeRoot = entryRoot(decode(entry.data), key, value);
  const { exist } = decode(store.data);
  if (exist === undefined) throw invalid("the store is not proven");
  expectEntry(exist, name, storeRoot);
  if (!equalBytes(existenceRoot(simpleSpec, exist), appHash)) throw invalid("the proof leads to another app hash");
}

function entryRoot({ exist, nonexist }: CommitmentProof, key: Uint8Array, value: Uint8Array | undefined): Uint8Array {
  if (value === undefined) {
    if (nonexist === undefined || exist !== undefined) throw invalid("absence is not proven");
    return absenceRoot(nonexist, key);
  }
  if (exist === undefined || nonexist !== undefined) throw invalid("existence is not proven");
  expectEntry(exist, key, value);
  return existenceRoot(iavlSpec, exist);
}

/** The key would lie between two neighbours, before the first entry or after the last. */
function absenceRoot({ key, left, right }: NonExistenceProof, claimed: Uint8Array): Uint8Array {
  if (!equalBytes(key, claimed)) throw invalid("absence of another key is proven");
  // Only an empty tree has this root: no node has an empty preimage. (Not part of ICS-23.)
  if (left === undefined && right === undefined) return sha256(new Uint8Array(0));
  const leftRoot = left && existenceRoot(iavlSpec, left);
  const rightRoot = right && existenceRoot(iavlSpec, right);
  if (left !== undefined && compareBytes(left.key, key) >= 0) throw invalid("the left neighbour is not on the left");
  if (right !== undefined && compareBytes(right.key, key) <= 0)
    throw invalid("the right neighbour is not on the right");
  if (leftRoot !== undefined && rightRoot !== undefined && !equalBytes(leftRoot, rightRoot)) {
    throw invalid("the neighbours are of different trees");
  }
  const adjacent =
    left === undefined
      ? keepsTo(iavlSpec, "left", right!)
      : right === undefined
        ? keepsTo(iavlSpec, "right", left)
        : areNeighbours(iavlSpec, left, right);
  if (!adjacent) throw invalid("the neighbours are not adjacent");
  return (leftRoot ?? rightRoot)!;
}

function expectEntry(proof: ExistenceProof, key: Uint8Array, value: Uint8Array): void {
  if (!equalBytes(proof.key, key)) throw invalid("existence of another key is proven");
  if (!equalBytes(proof.value, value)) throw invalid("another value is proven");
}

function decode(data: Uint8Array): CommitmentProof {
  try {
    return CommitmentProof.decode(data);
  } catch {
    throw invalid("the proof cannot be decoded");
  }
}

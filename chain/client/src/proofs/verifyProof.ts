import type { CommitmentProof, NonExistenceProof } from "cosmjs-types/cosmos/ics23/v1/proofs";
import { areNeighbours, decode, existenceRoot, expectEntry, keepsTo } from "./existence.ts";
import { verifyJournal } from "./journal.ts";
import { iavlSpec } from "./specs.ts";
import { type ProofOp, verifyStore } from "./store.ts";
import { compareBytes, equalBytes, invalid, sha256 } from "./support.ts";

export type { ProofOp } from "./store.ts";

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
 * Checks that `key` of a store has a value, or is absent, in the state of an app hash. Of a store that is a tree: an
 * ICS-23 proof of the entry in the IAVL+ tree (op `ics23:iavl`), then of the store's root among all stores (op
 * `ics23:simple`). Of a journaled store, whose proofs begin with `ics23:simple`, see `journal.ts`.
 * Throws KaratError `invalid_proof` for anything else.
 */
export function verifyProof({ proofOps, appHash, storeName, key, value }: ProofClaim): void {
  const [entry, ...rest] = proofOps;
  if (entry === undefined) throw invalid("a proof has steps");
  if (!equalBytes(entry.key, key)) throw invalid("the proof is of another key");
  if (entry.type === "ics23:simple") {
    if (value === undefined) throw invalid("a journaled store does not prove absence");
    verifyJournal({ entry, rest, storeName, key, value, appHash });
    return;
  }
  const [store, ...more] = rest;
  if (entry.type !== "ics23:iavl" || store === undefined || more.length > 0) throw invalid("a proof has two steps");
  verifyStore(store, storeName, entryRoot(decode(entry.data), key, value), appHash);
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

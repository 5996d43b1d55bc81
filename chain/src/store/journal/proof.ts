import { CommitmentProof, HashOp, type InnerOp, LengthOp } from "cosmjs-types/cosmos/ics23/v1/proofs";
import { simplePath } from "../simpleTree.ts";
import type { BlockLeaves } from "./records.ts";

/** ICS-23 proof (tendermintSpec) of an entry in the tree of the block that wrote it. */
export function leafProof(leaves: BlockLeaves, index: number, key: Uint8Array, value: Uint8Array): Uint8Array {
  const path = simplePath(leaves.hashes, index).map((step): InnerOp => ({ hash: HashOp.SHA256, ...step }));
  const leaf = {
    hash: HashOp.SHA256,
    prehashKey: HashOp.NO_HASH,
    prehashValue: HashOp.SHA256,
    length: LengthOp.VAR_PROTO,
    prefix: Uint8Array.of(0),
  };
  return CommitmentProof.encode({ exist: { key, value, leaf, path } }).finish();
}

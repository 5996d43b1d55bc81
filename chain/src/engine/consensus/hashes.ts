import { BinaryWriter } from "cosmjs-types/binary";
import { Timestamp } from "cosmjs-types/google/protobuf/timestamp";
import { ExecTxResult } from "cosmjs-types/tendermint/abci/types";
import type { Block } from "cosmjs-types/tendermint/types/block";
import { Block as BlockCodec } from "cosmjs-types/tendermint/types/block";
import { type ConsensusParams, HashedParams } from "cosmjs-types/tendermint/types/params";
import { BlockID, type Commit, CommitSig, type Header, type PartSetHeader } from "cosmjs-types/tendermint/types/types";
import { SimpleValidator } from "cosmjs-types/tendermint/types/validator";
import { Consensus } from "cosmjs-types/tendermint/version/types";
import { type MerkleProof, merkleProof, merkleRoot, sha256 } from "./merkle.ts";
import type { ValidatorInfo } from "./validators.ts";

// The hashes a CometBFT v0.38 header is made of (specification: spec/core/data_structures.md of that release).

/** Blocks are gossiped, and their identity hashed, in parts of this many bytes. */
const PART_BYTES = 65_536;

// A header field goes under the root as the protobuf wrapper type of its kind; a zero value as no bytes at all.
const bytesLeaf = (value: Uint8Array) =>
  value.length === 0 ? new Uint8Array() : new BinaryWriter().uint32(10).bytes(value).finish();
const stringLeaf = (value: string) =>
  value === "" ? new Uint8Array() : new BinaryWriter().uint32(10).string(value).finish();
const intLeaf = (value: bigint) =>
  value === 0n ? new Uint8Array() : new BinaryWriter().uint32(8).int64(value).finish();

export function headerHash(header: Header): Uint8Array {
  return merkleRoot([
    Consensus.encode(header.version).finish(),
    stringLeaf(header.chainId),
    intLeaf(header.height),
    Timestamp.encode(header.time).finish(),
    BlockID.encode(header.lastBlockId).finish(),
    bytesLeaf(header.lastCommitHash),
    bytesLeaf(header.dataHash),
    bytesLeaf(header.validatorsHash),
    bytesLeaf(header.nextValidatorsHash),
    bytesLeaf(header.consensusHash),
    bytesLeaf(header.appHash),
    bytesLeaf(header.lastResultsHash),
    bytesLeaf(header.evidenceHash),
    bytesLeaf(header.proposerAddress),
  ]);
}

/** The root over the transactions' hashes, in block order. */
export const dataHash = (txs: readonly Uint8Array[]): Uint8Array => merkleRoot(txs.map(sha256));

/** That the transaction at `index` is under the block's data hash. */
export const txProof = (txs: readonly Uint8Array[], index: number): MerkleProof => merkleProof(txs.map(sha256), index);

export const commitHash = (commit: Commit): Uint8Array =>
  merkleRoot(commit.signatures.map((signature) => CommitSig.encode(signature).finish()));

/** Over key and power in the set's own order. */
export const validatorsHash = (validators: readonly ValidatorInfo[]): Uint8Array =>
  merkleRoot(
    validators.map(({ pubKey, power }) =>
      SimpleValidator.encode(SimpleValidator.fromPartial({ pubKey, votingPower: power })).finish(),
    ),
  );

/** Only the block limits are under the consensus hash; the other parameters may differ unseen. */
export const consensusHash = (params: ConsensusParams): Uint8Array =>
  sha256(
    HashedParams.encode(
      HashedParams.fromPartial({
        blockMaxBytes: params.block?.maxBytes ?? 0n,
        blockMaxGas: params.block?.maxGas ?? 0n,
      }),
    ).finish(),
  );

/** Over code, data and gas of each result: what must be deterministic. Log, info, events and codespace are not. */
export const resultsHash = (results: readonly ExecTxResult[]): Uint8Array =>
  merkleRoot(
    results.map(({ code, data, gasWanted, gasUsed }) =>
      ExecTxResult.encode(ExecTxResult.fromPartial({ code, data, gasWanted, gasUsed })).finish(),
    ),
  );

/** How many parts the encoded block has, and the root over them. */
export function partSetHeader(encodedBlock: Uint8Array): PartSetHeader {
  const parts: Uint8Array[] = [];
  for (let at = 0; at < encodedBlock.length; at += PART_BYTES) parts.push(encodedBlock.subarray(at, at + PART_BYTES));
  return { total: parts.length, hash: merkleRoot(parts) };
}

/** What a block is known by, and its encoding. */
export interface BlockIdentity {
  readonly blockId: BlockID;
  readonly encoded: Uint8Array;
}

/** A block's identity: the header hash and the part set of its encoding. */
export function blockIdOf(block: Block): BlockIdentity {
  const encoded = BlockCodec.encode(block).finish();
  return { blockId: { hash: headerHash(block.header), partSetHeader: partSetHeader(encoded) }, encoded };
}

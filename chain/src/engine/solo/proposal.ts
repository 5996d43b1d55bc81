import { KaratError } from "@karat/common";
import type { Timestamp } from "cosmjs-types/google/protobuf/timestamp";
import type { CommitInfo, ExtendedCommitInfo } from "cosmjs-types/tendermint/abci/types";
import { Block } from "cosmjs-types/tendermint/types/block";
import { BlockID, BlockMeta, Commit, CommitSig } from "cosmjs-types/tendermint/types/types";
import { BlockIDFlag } from "cosmjs-types/tendermint/types/validator";
import { type BlockIdentity, commitHash, consensusHash, dataHash, validatorsHash } from "../consensus/hashes.ts";
import type { Ed25519Key } from "../consensus/keys.ts";
import { merkleRoot } from "../consensus/merkle.ts";
import { clockNanos, nanosOf, timestampOf } from "../consensus/time.ts";
import type { ValidatorInfo } from "../consensus/validators.ts";
import { precommitSignBytes } from "../consensus/vote.ts";
import { type ChainState, nextHeight } from "./state.ts";
import type { DecidedBlock } from "./store.ts";

/** The version of CometBFT's block format that headers carry. */
const BLOCK_PROTOCOL = 11n;
const MILLISECOND = 1_000_000n;

// CometBFT's upper bounds of what surrounds the transactions in an encoded block (types/block.go of v0.38).
const MAX_BLOCK_OVERHEAD = 11n;
const MAX_HEADER_BYTES = 626n;
const MAX_COMMIT_OVERHEAD = 94n;
const MAX_COMMIT_SIG_BYTES = 109n + 2n;
const MAX_BLOCK_BYTES = 104_857_600n;

/** The commit below the first block. */
export const noCommit = (): Commit => Commit.fromPartial({ height: 0n, round: 0, blockId: {}, signatures: [] });

/** How many bytes of transactions the next block may hold, each counted with its protobuf frame. */
export function maxDataBytes(state: ChainState): bigint {
  const limit = state.params.block?.maxBytes ?? -1n;
  const commit = MAX_COMMIT_OVERHEAD + MAX_COMMIT_SIG_BYTES * BigInt(state.lastValidators.length);
  const left = (limit === -1n ? MAX_BLOCK_BYTES : limit) - MAX_BLOCK_OVERHEAD - MAX_HEADER_BYTES - commit;
  if (left < 0n)
    throw new KaratError("engine/block-too-small", "block.max_bytes leaves no room for a block", { limit });
  return left;
}

/** What a single transaction must fit into to ever be in a block. `maxGas` -1 is no limit. */
export interface BlockLimits {
  readonly maxBytes: bigint;
  readonly maxGas: bigint;
}

export const blockLimits = (state: ChainState): BlockLimits => ({
  maxBytes: maxDataBytes(state),
  maxGas: state.params.block?.maxGas ?? -1n,
});

/** Bytes of one transaction as a repeated field: tag, length, content. */
export function txProtoBytes(tx: Uint8Array): bigint {
  let lengthBytes = 1;
  for (let rest = tx.length; rest >= 128; rest = Math.floor(rest / 128)) lengthBytes++;
  return BigInt(1 + lengthBytes + tx.length);
}

/** The time of the next block: what its predecessor's precommits say, or the genesis time. */
export function nextBlockTime(state: ChainState, lastCommit: Commit): Timestamp {
  if (state.lastHeight === 0n) return state.lastBlockTime;
  const signed = lastCommit.signatures.find(({ blockIdFlag }) => blockIdFlag === BlockIDFlag.BLOCK_ID_FLAG_COMMIT);
  if (signed === undefined) throw new KaratError("engine/unsigned-commit", "the last commit has no signature");
  return signed.timestamp;
}

/** The block after `state` with these transactions, complete with its hashes. */
export function makeBlock(state: ChainState, lastCommit: Commit, txs: Uint8Array[], proposer: Uint8Array): Block {
  return Block.fromPartial({
    header: {
      version: { block: BLOCK_PROTOCOL, app: state.appVersion },
      chainId: state.chainId,
      height: nextHeight(state),
      time: nextBlockTime(state, lastCommit),
      lastBlockId: state.lastBlockId,
      lastCommitHash: commitHash(lastCommit),
      dataHash: dataHash(txs),
      validatorsHash: validatorsHash(state.validators),
      nextValidatorsHash: validatorsHash(state.nextValidators),
      consensusHash: consensusHash(state.params),
      appHash: state.appHash,
      lastResultsHash: state.lastResultsHash,
      evidenceHash: merkleRoot([]),
      proposerAddress: proposer,
    },
    data: { txs },
    evidence: { evidence: [] },
    lastCommit,
  });
}

/**
 * Signs a block: our precommit, every other validator absent. Its time is the clock's, but at least a millisecond after the
 * block's, so that block time always rises.
 */
export function decide(
  state: ChainState,
  block: Block,
  { blockId, encoded }: BlockIdentity,
  key: Ed25519Key,
): DecidedBlock {
  const earliest = nanosOf(block.header.time) + MILLISECOND;
  const now = clockNanos();
  const timestamp = timestampOf(now > earliest ? now : earliest);
  const vote = { height: block.header.height, round: 0, blockId, timestamp };
  const signature = key.sign(precommitSignBytes(state.chainId, vote));
  const ours = (validator: ValidatorInfo) => Buffer.compare(validator.address, key.address) === 0;
  const signatures = state.validators.map((validator) =>
    ours(validator)
      ? CommitSig.fromPartial({
          blockIdFlag: BlockIDFlag.BLOCK_ID_FLAG_COMMIT,
          validatorAddress: key.address,
          timestamp,
          signature,
        })
      : absentSignature(),
  );
  return {
    block,
    encoded,
    commit: Commit.fromPartial({ height: block.header.height, round: 0, blockId, signatures }),
    meta: BlockMeta.fromPartial({
      blockId: BlockID.fromPartial(blockId),
      blockSize: BigInt(encoded.length),
      header: block.header,
      numTxs: BigInt(block.data.txs.length),
    }),
  };
}

/** Go's zero time, 0001-01-01: what an absent signature carries. */
const ZERO_TIME_SECONDS = -62_135_596_800n;
const absentSignature = () =>
  CommitSig.fromPartial({
    blockIdFlag: BlockIDFlag.BLOCK_ID_FLAG_ABSENT,
    timestamp: { seconds: ZERO_TIME_SECONDS, nanos: 0 },
  });

/** Who signed the block below, for the application. Empty below the first block. */
export function commitInfo(commit: Commit, signers: readonly ValidatorInfo[]): CommitInfo {
  const votes = commit.signatures.map(({ blockIdFlag }, index) => ({
    validator: { address: signers[index]!.address, power: signers[index]!.power },
    blockIdFlag,
  }));
  return { round: commit.round, votes };
}

export function extendedCommitInfo(commit: Commit, signers: readonly ValidatorInfo[]): ExtendedCommitInfo {
  const { round, votes } = commitInfo(commit, signers);
  const none = new Uint8Array();
  return { round, votes: votes.map((vote) => ({ ...vote, voteExtension: none, extensionSignature: none })) };
}

import { BlockID, Commit, Header } from "cosmjs-types/tendermint/types/types";
import { parseTime } from "../consensus/time.ts";
import type { RpcBlockId, RpcCommit, RpcHeader } from "../rpcTypes.ts";

// Reads the RPC's JSON back into the messages that are hashed and signed: only tests need this direction.

const hex = (text: string) => new Uint8Array(Buffer.from(text, "hex"));

export const blockIdOfJson = ({ hash, parts }: RpcBlockId): BlockID =>
  BlockID.fromPartial({ hash: hex(hash), partSetHeader: { total: parts.total, hash: hex(parts.hash) } });

export const headerOfJson = (json: RpcHeader): Header =>
  Header.fromPartial({
    version: { block: BigInt(json.version.block), app: BigInt(json.version.app ?? "0") },
    chainId: json.chain_id,
    height: BigInt(json.height),
    time: parseTime(json.time),
    lastBlockId: blockIdOfJson(json.last_block_id),
    lastCommitHash: hex(json.last_commit_hash),
    dataHash: hex(json.data_hash),
    validatorsHash: hex(json.validators_hash),
    nextValidatorsHash: hex(json.next_validators_hash),
    consensusHash: hex(json.consensus_hash),
    appHash: hex(json.app_hash),
    lastResultsHash: hex(json.last_results_hash),
    evidenceHash: hex(json.evidence_hash),
    proposerAddress: hex(json.proposer_address),
  });

export const commitOfJson = (json: RpcCommit): Commit =>
  Commit.fromPartial({
    height: BigInt(json.height),
    round: json.round,
    blockId: blockIdOfJson(json.block_id),
    signatures: json.signatures.map((signature) => ({
      blockIdFlag: signature.block_id_flag,
      validatorAddress: hex(signature.validator_address),
      timestamp: parseTime(signature.timestamp),
      signature: new Uint8Array(Buffer.from(signature.signature ?? "", "base64")),
    })),
  });

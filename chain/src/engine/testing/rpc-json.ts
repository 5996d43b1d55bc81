import { BlockID, Commit, Header } from "cosmjs-types/tendermint/types/types";
import { parseTime } from "../consensus/time.ts";

// Reads the RPC's JSON back into the messages that are hashed and signed: only tests need this direction.

interface BlockIdJson {
  readonly hash: string;
  readonly parts: { readonly total: number; readonly hash: string };
}

export interface HeaderJson {
  readonly version: { readonly block: string; readonly app?: string };
  readonly chain_id: string;
  readonly height: string;
  readonly time: string;
  readonly last_block_id: BlockIdJson;
  readonly last_commit_hash: string;
  readonly data_hash: string;
  readonly validators_hash: string;
  readonly next_validators_hash: string;
  readonly consensus_hash: string;
  readonly app_hash: string;
  readonly last_results_hash: string;
  readonly evidence_hash: string;
  readonly proposer_address: string;
}

const hex = (text: string) => new Uint8Array(Buffer.from(text, "hex"));

export const blockIdOfJson = ({ hash, parts }: BlockIdJson): BlockID =>
  BlockID.fromPartial({ hash: hex(hash), partSetHeader: { total: parts.total, hash: hex(parts.hash) } });

export const headerOfJson = (json: HeaderJson): Header =>
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

export const commitOfJson = (json: {
  height: string;
  round: number;
  block_id: BlockIdJson;
  signatures: { block_id_flag: number; validator_address: string; timestamp: string; signature: string | null }[];
}): Commit =>
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

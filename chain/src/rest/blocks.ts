/** Blocks and validators of CometBFT's RPC in the words of cosmos.base.tendermint: hashes in base64, flags by name. */
import { toBech32 } from "@cosmjs/encoding";
import { ADDRESS_PREFIX, fromHex, toBase64 } from "@karat/common";
import type { RpcBlock, RpcBlockId, RpcCommit, RpcHeader, RpcValidators } from "../engine/rpcTypes.ts";

const FLAGS = ["UNKNOWN", "ABSENT", "COMMIT", "NIL"];

const base64 = (hex: string): string => toBase64(fromHex(hex));
const consensusAddress = (hex: string): string =>
  hex === "" ? "" : toBech32(`${ADDRESS_PREFIX}valcons`, fromHex(hex));

const blockIdJson = ({ hash, parts }: RpcBlockId) => ({
  hash: base64(hash),
  part_set_header: { total: parts.total, hash: base64(parts.hash) },
});

const headerJson = (header: RpcHeader, proposer: string) => ({
  version: { block: header.version.block, app: header.version.app ?? "0" },
  chain_id: header.chain_id,
  height: header.height,
  time: header.time,
  last_block_id: blockIdJson(header.last_block_id),
  last_commit_hash: base64(header.last_commit_hash),
  data_hash: base64(header.data_hash),
  validators_hash: base64(header.validators_hash),
  next_validators_hash: base64(header.next_validators_hash),
  consensus_hash: base64(header.consensus_hash),
  app_hash: base64(header.app_hash),
  last_results_hash: base64(header.last_results_hash),
  evidence_hash: base64(header.evidence_hash),
  proposer_address: proposer,
});

const commitJson = ({ height, round, block_id, signatures }: RpcCommit) => ({
  height,
  round,
  block_id: blockIdJson(block_id),
  signatures: signatures.map((each) => ({
    block_id_flag: `BLOCK_ID_FLAG_${FLAGS[each.block_id_flag] ?? "UNKNOWN"}`,
    validator_address: base64(each.validator_address),
    timestamp: each.timestamp,
    signature: each.signature,
  })),
});

/**
 * `block` names the proposer in base64, `sdk_block` in bech32, as the SDK has it. Evidence stays as the RPC writes it.
 * Undefined where the node has no such block any more.
 */
export function blockJson({ block_id, block }: RpcBlock): Record<string, unknown> | undefined {
  if (block === null) return undefined;
  const { header } = block;
  const rest = {
    data: { txs: block.data.txs ?? [] },
    evidence: { evidence: block.evidence.evidence ?? [] },
    last_commit: block.last_commit === null ? null : commitJson(block.last_commit),
  };
  return {
    block_id: blockIdJson(block_id),
    block: { header: headerJson(header, base64(header.proposer_address)), ...rest },
    sdk_block: { header: headerJson(header, consensusAddress(header.proposer_address)), ...rest },
  };
}

export const validatorSetJson = ({ block_height, validators, total }: RpcValidators) => ({
  block_height,
  validators: validators.map(({ address, pub_key, voting_power, proposer_priority }) => ({
    address: consensusAddress(address),
    pub_key: { "@type": "/cosmos.crypto.ed25519.PubKey", key: pub_key.value },
    voting_power,
    proposer_priority,
  })),
  pagination: { next_key: null, total },
});

import type {
  Event,
  ExecTxResult,
  ResponseCheckTx,
  ResponseInfo,
  ResponseQuery,
  TxResult,
  ValidatorUpdate,
} from "cosmjs-types/tendermint/abci/types";
import type { Block } from "cosmjs-types/tendermint/types/block";
import type { BlockID, BlockMeta, Commit, Header } from "cosmjs-types/tendermint/types/types";
import { publicKeyJson } from "../../consensus/keys.ts";
import type { MerkleProof } from "../../consensus/merkle.ts";
import { sha256 } from "../../consensus/merkle.ts";
import { formatTime } from "../../consensus/time.ts";
import type { ValidatorInfo } from "../../consensus/validators.ts";

// JSON as CometBFT v0.38's RPC writes it: 64-bit numbers are decimal strings, 32-bit ones are numbers; hashes are upper-case
// hex, other bytes base64, and empty bytes are null except where a message leaves zero fields out.

export const upperHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex").toUpperCase();
export const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
export const bytesOrNull = (bytes: Uint8Array): string | null => (bytes.length === 0 ? null : base64(bytes));
/** Go prints an empty list that was never made as null. */
export const listOrNull = <T>(list: T[]): T[] | null => (list.length === 0 ? null : list);

export const blockIdJson = (id: BlockID) => ({
  hash: upperHex(id.hash),
  parts: { total: id.partSetHeader.total, hash: upperHex(id.partSetHeader.hash) },
});

export const NO_BLOCK_ID = { hash: "", parts: { total: 0, hash: "" } };

export const headerJson = (header: Header) => ({
  version: { block: header.version.block.toString(), app: header.version.app.toString() },
  chain_id: header.chainId,
  height: header.height.toString(),
  time: formatTime(header.time),
  last_block_id: blockIdJson(header.lastBlockId),
  last_commit_hash: upperHex(header.lastCommitHash),
  data_hash: upperHex(header.dataHash),
  validators_hash: upperHex(header.validatorsHash),
  next_validators_hash: upperHex(header.nextValidatorsHash),
  consensus_hash: upperHex(header.consensusHash),
  app_hash: upperHex(header.appHash),
  last_results_hash: upperHex(header.lastResultsHash),
  evidence_hash: upperHex(header.evidenceHash),
  proposer_address: upperHex(header.proposerAddress),
});

export const commitJson = (commit: Commit) => ({
  height: commit.height.toString(),
  round: commit.round,
  block_id: blockIdJson(commit.blockId),
  signatures: commit.signatures.map(({ blockIdFlag, validatorAddress, timestamp, signature }) => ({
    block_id_flag: blockIdFlag,
    validator_address: upperHex(validatorAddress),
    timestamp: formatTime(timestamp),
    signature: bytesOrNull(signature),
  })),
});

export const blockJson = (block: Block) => ({
  header: headerJson(block.header),
  data: { txs: block.data.txs.map(base64) },
  evidence: { evidence: [] },
  last_commit: block.lastCommit ? commitJson(block.lastCommit) : null,
});

export const blockMetaJson = (meta: BlockMeta) => ({
  block_id: blockIdJson(meta.blockId),
  block_size: meta.blockSize.toString(),
  header: headerJson(meta.header),
  num_txs: meta.numTxs.toString(),
});

/** `proposer_priority` is 0: with one proposer nothing rotates. */
export const validatorJson = ({ address, pubKey, power }: ValidatorInfo) => ({
  address: upperHex(address),
  pub_key: publicKeyJson(pubKey.ed25519!),
  voting_power: power.toString(),
  proposer_priority: "0",
});

export const eventJson = ({ type, attributes }: Event) => ({
  type,
  attributes: attributes.map(({ key, value, index }) => ({ key, value, index })),
});

export const execTxResultJson = (result: ExecTxResult) => ({
  code: result.code,
  data: bytesOrNull(result.data),
  log: result.log,
  info: result.info,
  gas_wanted: result.gasWanted.toString(),
  gas_used: result.gasUsed.toString(),
  events: result.events.map(eventJson),
  codespace: result.codespace,
});

export const checkTxJson = (response: ResponseCheckTx) => execTxResultJson(response);

/** In `block_results` an update's key is a protobuf oneof; a removal leaves the zero power out. */
export const validatorUpdateJson = ({ pubKey, power }: ValidatorUpdate) => ({
  pub_key: {
    Sum: { type: "tendermint.crypto.PublicKey_Ed25519", value: { ed25519: base64(pubKey.ed25519!) } },
  },
  ...(power === 0n ? {} : { power: power.toString() }),
});

const proofJson = ({ total, index, leafHash, aunts }: MerkleProof) => ({
  total: total.toString(),
  index: index.toString(),
  leaf_hash: base64(leafHash),
  aunts: aunts.map(base64),
});

export interface TxInclusion {
  readonly rootHash: Uint8Array;
  readonly proof: MerkleProof;
}

/** A found transaction; without `inclusion` the reply has no proof. */
export const txJson = (record: TxResult, inclusion: TxInclusion | undefined) => ({
  hash: upperHex(sha256(record.tx)),
  height: record.height.toString(),
  index: record.index,
  tx_result: execTxResultJson(record.result),
  tx: base64(record.tx),
  ...(inclusion && {
    proof: {
      root_hash: upperHex(inclusion.rootHash),
      data: base64(record.tx),
      proof: proofJson(inclusion.proof),
    },
  }),
});

export const queryJson = (response: ResponseQuery) => ({
  code: response.code,
  log: response.log,
  info: response.info,
  index: response.index.toString(),
  key: bytesOrNull(response.key),
  value: bytesOrNull(response.value),
  proofOps: response.proofOps
    ? {
        ops: response.proofOps.ops.map(({ type, key, data }) => ({
          type,
          key: bytesOrNull(key),
          data: bytesOrNull(data),
        })),
      }
    : null,
  height: response.height.toString(),
  codespace: response.codespace,
});

export const infoJson = (info: ResponseInfo) => ({
  ...(info.data === "" ? {} : { data: info.data }),
  ...(info.version === "" ? {} : { version: info.version }),
  ...(info.appVersion === 0n ? {} : { app_version: info.appVersion.toString() }),
  ...(info.lastBlockHeight === 0n ? {} : { last_block_height: info.lastBlockHeight.toString() }),
  ...(info.lastBlockAppHash.length === 0 ? {} : { last_block_app_hash: base64(info.lastBlockAppHash) }),
});

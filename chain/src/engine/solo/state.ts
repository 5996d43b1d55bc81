import { fromBase64, KaratError, toBase64 } from "@karat/common";
import type { Timestamp } from "cosmjs-types/google/protobuf/timestamp";
import type { ResponseFinalizeBlock, ResponseInitChain } from "cosmjs-types/tendermint/abci/types";
import type { ConsensusParams } from "cosmjs-types/tendermint/types/params";
import { ConsensusParams as ConsensusParamsCodec } from "cosmjs-types/tendermint/types/params";
import { BlockID, type Header } from "cosmjs-types/tendermint/types/types";
import type { Genesis } from "../consensus/genesis.ts";
import { resultsHash } from "../consensus/hashes.ts";
import { updateParams } from "../consensus/params.ts";
import { nanosOf, timestampOf } from "../consensus/time.ts";
import { updateValidators, type ValidatorInfo, validatorOf } from "../consensus/validators.ts";

/** What the next block is built on. After height H, `validators` sign H+1 and `nextValidators` sign H+2. */
export interface ChainState {
  readonly chainId: string;
  readonly initialHeight: bigint;
  /** 0 before the first block. */
  readonly lastHeight: bigint;
  readonly lastBlockId: BlockID;
  readonly lastBlockTime: Timestamp;
  readonly lastValidators: readonly ValidatorInfo[];
  readonly validators: readonly ValidatorInfo[];
  readonly nextValidators: readonly ValidatorInfo[];
  readonly params: ConsensusParams;
  readonly appVersion: bigint;
  readonly appHash: Uint8Array;
  readonly lastResultsHash: Uint8Array;
}

/** The height of the block that comes next. */
export const nextHeight = (state: ChainState): bigint =>
  state.lastHeight === 0n ? state.initialHeight : state.lastHeight + 1n;

/** Vote extensions need more than this engine does; it says so rather than leave them out. */
function checkParams(params: ConsensusParams): ConsensusParams {
  if ((params.abci?.voteExtensionsEnableHeight ?? 0n) !== 0n) {
    throw new KaratError("engine/vote-extensions-unsupported", "the solo engine runs without vote extensions");
  }
  return params;
}

/** The state before the first block: the genesis, as the application's InitChain changed it. */
export function genesisState(genesis: Genesis, response: ResponseInitChain, infoAppVersion: bigint): ChainState {
  const validators =
    response.validators.length > 0
      ? updateValidators([], response.validators)
      : updateValidators([], asUpdates(genesis));
  if (validators.length === 0) {
    throw new KaratError("engine/no-validators", "neither the genesis nor InitChain names a validator");
  }
  const params = checkParams(updateParams(genesis.params, response.consensusParams));
  return {
    chainId: genesis.chainId,
    initialHeight: genesis.initialHeight,
    lastHeight: 0n,
    lastBlockId: BlockID.fromPartial({}),
    lastBlockTime: genesis.time,
    lastValidators: [],
    validators,
    nextValidators: validators,
    params,
    appVersion: response.consensusParams === undefined ? infoAppVersion : (params.version?.app ?? 0n),
    appHash: response.appHash,
    lastResultsHash: resultsHash([]),
  };
}

const asUpdates = (genesis: Genesis) => genesis.validators.map(({ pubKey, power }) => ({ pubKey, power }));

/** The state after a block: pure; throws where the application's answer is invalid. */
export function stateAfter(
  state: ChainState,
  header: Header,
  blockId: BlockID,
  response: ResponseFinalizeBlock,
): ChainState {
  const params = checkParams(updateParams(state.params, response.consensusParamUpdates));
  return {
    ...state,
    lastHeight: header.height,
    lastBlockId: blockId,
    lastBlockTime: header.time,
    lastValidators: state.validators,
    validators: state.nextValidators,
    nextValidators: updateValidators(state.nextValidators, response.validatorUpdates),
    params,
    appVersion: response.consensusParamUpdates?.version?.app ?? state.appVersion,
    appHash: response.appHash,
    lastResultsHash: resultsHash(response.txResults),
  };
}

interface StoredValidator {
  readonly key: string;
  readonly power: string;
}

const storedValidators = (set: readonly ValidatorInfo[]): StoredValidator[] =>
  set.map(({ pubKey, power }) => ({ key: toBase64(pubKey.ed25519!), power: power.toString() }));
const loadedValidators = (set: readonly StoredValidator[]): ValidatorInfo[] =>
  set.map(({ key, power }) => validatorOf(fromBase64(key), BigInt(power)));

/** Bytes of a validator set for the store, in set order. */
export const encodeValidators = (set: readonly ValidatorInfo[]): Uint8Array =>
  Buffer.from(JSON.stringify(storedValidators(set)));
export const decodeValidators = (bytes: Uint8Array): ValidatorInfo[] =>
  loadedValidators(JSON.parse(Buffer.from(bytes).toString()) as StoredValidator[]);

/** Bytes of a state for the store; `decodeState` reads them back. */
export function encodeState(state: ChainState): Uint8Array {
  return Buffer.from(
    JSON.stringify({
      chainId: state.chainId,
      initialHeight: state.initialHeight.toString(),
      lastHeight: state.lastHeight.toString(),
      lastBlockId: toBase64(BlockID.encode(state.lastBlockId).finish()),
      lastBlockTimeNanos: nanosOf(state.lastBlockTime).toString(),
      lastValidators: storedValidators(state.lastValidators),
      validators: storedValidators(state.validators),
      nextValidators: storedValidators(state.nextValidators),
      params: toBase64(ConsensusParamsCodec.encode(state.params).finish()),
      appVersion: state.appVersion.toString(),
      appHash: toBase64(state.appHash),
      lastResultsHash: toBase64(state.lastResultsHash),
    }),
  );
}

export function decodeState(bytes: Uint8Array): ChainState {
  const stored = JSON.parse(Buffer.from(bytes).toString()) as Record<string, string> &
    Record<"lastValidators" | "validators" | "nextValidators", StoredValidator[]>;
  return {
    chainId: stored.chainId!,
    initialHeight: BigInt(stored.initialHeight!),
    lastHeight: BigInt(stored.lastHeight!),
    lastBlockId: BlockID.decode(fromBase64(stored.lastBlockId!)),
    lastBlockTime: timestampOf(BigInt(stored.lastBlockTimeNanos!)),
    lastValidators: loadedValidators(stored.lastValidators),
    validators: loadedValidators(stored.validators),
    nextValidators: loadedValidators(stored.nextValidators),
    params: ConsensusParamsCodec.decode(fromBase64(stored.params!)),
    appVersion: BigInt(stored.appVersion!),
    appHash: fromBase64(stored.appHash!),
    lastResultsHash: fromBase64(stored.lastResultsHash!),
  };
}

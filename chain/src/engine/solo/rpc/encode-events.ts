import type { Event, ExecTxResult, ResponseFinalizeBlock } from "cosmjs-types/tendermint/abci/types";
import type { Block } from "cosmjs-types/tendermint/types/block";
import { paramUpdatesJson } from "../../consensus/params.ts";
import type { DecidedBlock } from "../store.ts";
import {
  base64,
  blockIdJson,
  blockJson,
  execTxResultJson,
  headerJson,
  listOrNull,
  validatorUpdateJson,
} from "./encode.ts";

// Websocket events differ from the same messages in replies: they leave fields with zero values out.

function sparseEvent({ type, attributes }: Event) {
  return {
    ...(type === "" ? {} : { type }),
    ...(attributes.length === 0
      ? {}
      : { attributes: attributes.map(({ key, value, index }) => ({ key, value, index })) }),
  };
}

/** A list of events as block results and websocket events have it: null when there is none. */
export const sparseEvents = (events: readonly Event[]) => listOrNull(events.map(sparseEvent));

/** `value` of `tendermint/event/NewBlock`. */
export const newBlockJson = ({ block, meta }: DecidedBlock, response: ResponseFinalizeBlock) => ({
  block: blockJson(block),
  block_id: blockIdJson(meta.blockId),
  result_finalize_block: {
    ...(response.events.length === 0 ? {} : { events: sparseEvents(response.events) }),
    ...(response.txResults.length === 0 ? {} : { tx_results: response.txResults.map(execTxResultJson) }),
    validator_updates: listOrNull(response.validatorUpdates.map(validatorUpdateJson)),
    ...(response.consensusParamUpdates
      ? { consensus_param_updates: paramUpdatesJson(response.consensusParamUpdates) }
      : {}),
    ...(response.appHash.length === 0 ? {} : { app_hash: base64(response.appHash) }),
  },
});

/** `value` of `tendermint/event/NewBlockHeader`. */
export const newBlockHeaderJson = (block: Block) => ({ header: headerJson(block.header) });

const sparseResult = (result: ExecTxResult) => ({
  ...(result.code === 0 ? {} : { code: result.code }),
  ...(result.data.length === 0 ? {} : { data: base64(result.data) }),
  ...(result.log === "" ? {} : { log: result.log }),
  ...(result.info === "" ? {} : { info: result.info }),
  ...(result.gasWanted === 0n ? {} : { gas_wanted: result.gasWanted.toString() }),
  ...(result.gasUsed === 0n ? {} : { gas_used: result.gasUsed.toString() }),
  ...(result.events.length === 0 ? {} : { events: result.events.map(sparseEvent) }),
  ...(result.codespace === "" ? {} : { codespace: result.codespace }),
});

/** `value` of `tendermint/event/Tx`. */
export const txEventJson = (height: bigint, index: number, tx: Uint8Array, result: ExecTxResult) => ({
  TxResult: {
    height: height.toString(),
    ...(index === 0 ? {} : { index }),
    ...(tx.length === 0 ? {} : { tx: base64(tx) }),
    result: sparseResult(result),
  },
});

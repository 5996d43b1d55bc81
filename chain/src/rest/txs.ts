/** Transactions of CometBFT's RPC in the words of cosmos.tx. */
import { fromBase64, toHex } from "@karat/common";
import { signModeToJSON } from "cosmjs-types/cosmos/tx/signing/v1beta1/signing";
import { Tx } from "cosmjs-types/cosmos/tx/v1beta1/tx";
import { SDK } from "../app/errors.ts";
import type { RpcBroadcast, RpcEvent, RpcTx } from "../engine/rpcTypes.ts";
import { toJson } from "./json.ts";

/** Null for bytes that are no transaction: a block may hold such, with a code that says so. */
export function txJson({ tx }: { readonly tx: string }): Record<string, unknown> | null {
  try {
    return toJson(Tx.decode(fromBase64(tx)), { mode: signModeToJSON }) as Record<string, unknown>;
  } catch {
    return null;
  }
}

const eventJson = ({ type, attributes }: RpcEvent) => ({
  type,
  attributes: (attributes ?? []).map(({ key, value, index }) => ({ key, value, index: index ?? false })),
});

export function txResponseJson(found: RpcTx, timestamp: string): Record<string, unknown> {
  const { tx_result: result } = found;
  const tx = txJson(found);
  return {
    height: found.height,
    txhash: found.hash,
    codespace: result.codespace,
    code: result.code,
    data: toHex(fromBase64(result.data ?? "")).toUpperCase(),
    raw_log: result.log,
    logs: [],
    info: result.info,
    gas_wanted: result.gas_wanted,
    gas_used: result.gas_used,
    tx: tx === null ? null : { "@type": "/cosmos.tx.v1beta1.Tx", ...tx },
    timestamp,
    events: (result.events ?? []).map(eventJson),
  };
}

/** Of a transaction that is in the mempool, or was refused by it. */
export const broadcastJson = ({ code, codespace, data, log, hash }: RpcBroadcast): Record<string, unknown> => ({
  height: "0",
  txhash: hash,
  codespace,
  code,
  data,
  raw_log: log,
  logs: [],
  info: "",
  gas_wanted: "0",
  gas_used: "0",
  tx: null,
  timestamp: "",
  events: [],
});

/** CometBFT refuses some transactions with a sentence; the SDK gives them these codes. */
const REFUSALS = [
  { words: "tx already exists in cache", ...SDK.txInMempool },
  { words: "mempool is full", ...SDK.mempoolFull },
  { words: "tx too large", ...SDK.txTooLarge },
];

export function refusalOf(reason: string): { code: number; codespace: string; log: string } | undefined {
  const refusal = REFUSALS.find(({ words }) => reason.toLowerCase().includes(words));
  return refusal && { code: refusal.code, codespace: refusal.codespace, log: reason };
}

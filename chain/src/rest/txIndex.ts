/** Committed transactions by hash and by what they emitted, from the engine's own index. */
import { toBase64 } from "@karat/common";
import type { RpcTx, RpcTxSearch } from "../engine/rpcTypes.ts";
import type { NodeRpc } from "./nodeRpc.ts";
import { invalidArgument, isInvalidArgument, restError } from "./status.ts";

/** `hash` is 64 hex digits. Throws `rest/invalid-argument` for anything else, `rest/not-found`. */
export async function findTx(rpc: NodeRpc, hash: string): Promise<RpcTx> {
  if (!/^[0-9a-fA-F]{64}$/.test(hash)) throw invalidArgument("the hash is 64 hex digits");
  try {
    return (await rpc.call("tx", { hash: toBase64(Buffer.from(hash, "hex")), prove: false })) as RpcTx;
  } catch (error) {
    if (!isInvalidArgument(error) || !error.message.includes("not found")) throw error;
    throw restError("rest/not-found", `tx not found: ${hash.toUpperCase()}`);
  }
}

export interface TxSearch {
  /** In CometBFT's language: `message.sender='karat1…' AND tx.height>5`. */
  readonly query: string;
  /** From 1. */
  readonly page: bigint;
  /** At most 100. */
  readonly limit: bigint;
  readonly order: "asc" | "desc";
}

export async function searchTxs(rpc: NodeRpc, { query, page, limit, order }: TxSearch): Promise<RpcTxSearch> {
  const asked = { query, prove: false, page: page.toString(), per_page: limit.toString(), order_by: order };
  return (await rpc.call("tx_search", asked)) as RpcTxSearch;
}

/** Of the block's header, RFC 3339; empty where the node does not keep the block any more. */
export async function blockTime(rpc: NodeRpc, height: string): Promise<string> {
  try {
    const { header } = (await rpc.call("header", { height })) as { header: { time: string } | null };
    return header?.time ?? "";
  } catch (error) {
    if (isInvalidArgument(error)) return "";
    throw error;
  }
}

/** By height, one after the other: a page has at most a hundred, and the node other things to do. */
export async function blockTimes(
  rpc: NodeRpc,
  txs: readonly { readonly height: string }[],
): Promise<Map<string, string>> {
  const times = new Map<string, string>();
  for (const { height } of txs) {
    if (!times.has(height)) times.set(height, await blockTime(rpc, height));
  }
  return times;
}

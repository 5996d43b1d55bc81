/** cosmos.tx: simulating, sending and finding transactions. */
import { sha256, toBase64, toHex } from "@karat/common";
import { SimulateRequest, SimulateResponse } from "cosmjs-types/cosmos/tx/v1beta1/service";
import { base64Of, type Input } from "../input.ts";
import { toJson } from "../json.ts";
import type { NodeRpc } from "../nodeRpc.ts";
import { pageNumber } from "../pageNumber.ts";
import { ask, get, post, type RestSources } from "../route.ts";
import type { RpcBroadcast, RpcTx, RpcTxSearch } from "../rpcTypes.ts";
import { invalidArgument, isInvalidArgument, restError } from "../status.ts";
import { broadcastJson, refusalOf, txJson, txResponseJson } from "../txs.ts";

const TXS = "/cosmos/tx/v1beta1";

async function simulate(sources: RestSources, input: Input, body: unknown) {
  const request = SimulateRequest.encode(SimulateRequest.fromPartial({ txBytes: txBytes(body) })).finish();
  const answer = await ask(sources, "/cosmos.tx.v1beta1.Service/Simulate", request, input.height());
  return { body: toJson(SimulateResponse.decode(answer.value)), height: answer.height };
}

const MODES: Readonly<Record<string, string>> = {
  BROADCAST_MODE_SYNC: "broadcast_tx_sync",
  2: "broadcast_tx_sync",
  BROADCAST_MODE_ASYNC: "broadcast_tx_async",
  3: "broadcast_tx_async",
};

async function broadcast({ rpc }: RestSources, body: unknown) {
  const tx = txBytes(body);
  const { mode } = body as { mode?: unknown };
  const method = Object.hasOwn(MODES, String(mode)) ? MODES[String(mode)] : undefined;
  if (method === undefined) throw invalidArgument("mode is BROADCAST_MODE_SYNC or BROADCAST_MODE_ASYNC", { mode });
  try {
    return { body: { tx_response: broadcastJson((await rpc.call(method, { tx: toBase64(tx) })) as RpcBroadcast) } };
  } catch (error) {
    // What the mempool does not even take up for a check has a code all the same.
    const refusal = isInvalidArgument(error) ? refusalOf(error.message) : undefined;
    if (refusal === undefined) throw error;
    const hash = toHex(sha256(tx)).toUpperCase();
    return { body: { tx_response: broadcastJson({ ...refusal, data: "", hash }) } };
  }
}

function txBytes(body: unknown): Uint8Array {
  const text = typeof body === "object" && body !== null && "tx_bytes" in body ? body.tx_bytes : undefined;
  if (typeof text !== "string" || text === "") throw invalidArgument("tx_bytes is the transaction in base64");
  return base64Of(text, "tx_bytes");
}

async function byHash({ rpc }: RestSources, input: Input) {
  const hash = input.path("hash").replace(/^0x/, "");
  if (!/^[0-9a-fA-F]{64}$/.test(hash)) throw invalidArgument("the hash is 64 hex digits");
  const found = await findTx(rpc, hash);
  const timestamp = await blockTime(rpc, found.height);
  return { body: { tx: txJson(found), tx_response: txResponseJson(found, timestamp) } };
}

async function findTx(rpc: NodeRpc, hash: string): Promise<RpcTx> {
  try {
    return (await rpc.call("tx", { hash: toBase64(Buffer.from(hash, "hex")), prove: false })) as RpcTx;
  } catch (error) {
    if (!isInvalidArgument(error) || !error.message.includes("not found")) throw error;
    throw restError("rest/not-found", `tx not found: ${hash.toUpperCase()}`);
  }
}

/** Of the block's header; empty where the node does not keep the block any more. */
async function blockTime(rpc: NodeRpc, height: string): Promise<string> {
  try {
    const { header } = (await rpc.call("header", { height })) as { header: { time: string } | null };
    return header?.time ?? "";
  } catch (error) {
    if (isInvalidArgument(error)) return "";
    throw error;
  }
}

const ORDERS: Readonly<Record<string, string>> = {
  "": "asc",
  ORDER_BY_UNSPECIFIED: "asc",
  ORDER_BY_ASC: "asc",
  1: "asc",
  ORDER_BY_DESC: "desc",
  2: "desc",
};

/** `query`, or `events` (repeated) as before SDK 0.50. */
async function search({ rpc }: RestSources, input: Input) {
  const query = input.query("query") || input.queries("events").join(" AND ");
  if (query === "") throw invalidArgument("query must be declared, like message.sender='karat1…'");
  const order = input.query("order_by");
  if (!Object.hasOwn(ORDERS, order)) throw invalidArgument("order_by is ORDER_BY_ASC or ORDER_BY_DESC");
  const { page, limit } = pageNumber(input);
  const found = (await rpc.call("tx_search", {
    query,
    prove: false,
    page: page.toString(),
    per_page: limit.toString(),
    order_by: ORDERS[order],
  })) as RpcTxSearch;
  const txs = found.txs ?? [];
  const times = await blockTimes(rpc, txs);
  return {
    body: {
      txs: txs.map(txJson),
      tx_responses: txs.map((tx) => txResponseJson(tx, times.get(tx.height) ?? "")),
      pagination: null,
      total: found.total_count,
    },
  };
}

/** One after the other: a page has at most a hundred, and the node other things to do. */
async function blockTimes(rpc: NodeRpc, txs: readonly RpcTx[]): Promise<Map<string, string>> {
  const times = new Map<string, string>();
  for (const { height } of txs) {
    if (!times.has(height)) times.set(height, await blockTime(rpc, height));
  }
  return times;
}

export const txRoutes = [
  post(`${TXS}/simulate`, simulate),
  post(`${TXS}/txs`, (sources, _, body) => broadcast(sources, body)),
  get(`${TXS}/txs`, search),
  get(`${TXS}/txs/:hash`, byHash),
];

/** cosmos.tx: simulating, sending and finding transactions. */
import { sha256, toBase64, toHex } from "@karat/common";
import { SimulateRequest, SimulateResponse } from "cosmjs-types/cosmos/tx/v1beta1/service";
import type { RpcBroadcast } from "../../engine/rpcTypes.ts";
import { base64Of, type Input } from "../input.ts";
import { toJson } from "../json.ts";
import { pageNumber } from "../pageNumber.ts";
import { ask, get, post, type RestSources } from "../route.ts";
import { invalidArgument, isInvalidArgument } from "../status.ts";
import { blockTime, blockTimes, findTx, searchTxs } from "../txIndex.ts";
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
  const found = await findTx(rpc, input.path("hash").replace(/^0x/, ""));
  const timestamp = await blockTime(rpc, found.height);
  return { body: { tx: txJson(found), tx_response: txResponseJson(found, timestamp) } };
}

const ORDERS: Readonly<Record<string, "asc" | "desc">> = {
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
  const named = input.query("order_by");
  const order = Object.hasOwn(ORDERS, named) ? ORDERS[named] : undefined;
  if (order === undefined) throw invalidArgument("order_by is ORDER_BY_ASC or ORDER_BY_DESC");
  const found = await searchTxs(rpc, { query, order, ...pageNumber(input) });
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

export const txRoutes = [
  post(`${TXS}/simulate`, simulate),
  post(`${TXS}/txs`, (sources, _, body) => broadcast(sources, body)),
  get(`${TXS}/txs`, search),
  get(`${TXS}/txs/:hash`, byHash),
];

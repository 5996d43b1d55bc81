/**
 * `cosmos.tx.v1beta1.Service/GetTx` and `GetTxsEvent` as ABCI queries, and what `nodeQueries.ts` has. An application does not keep
 * its transactions, the engine behind it does: these are answered from the engine's RPC, over both engines alike.
 */
import { fromBase64, isKaratError, type Logger, messageOf, toHex } from "@karat/common";
import { TxResponse } from "cosmjs-types/cosmos/base/abci/v1beta1/abci";
import {
  GetTxRequest,
  GetTxResponse,
  GetTxsEventRequest,
  GetTxsEventResponse,
  OrderBy,
} from "cosmjs-types/cosmos/tx/v1beta1/service";
import { Tx } from "cosmjs-types/cosmos/tx/v1beta1/tx";
import { type RequestQuery, ResponseQuery } from "cosmjs-types/tendermint/abci/types";
import { SDK } from "../app/errors.ts";
import type { Application } from "../engine/abci.ts";
import type { RpcTx } from "../engine/rpcTypes.ts";
import { NODE_QUERIES } from "./nodeQueries.ts";
import type { NodeRpc } from "./nodeRpc.ts";
import { blockTime, blockTimes, findTx, searchTxs } from "./txIndex.ts";

type Answering = (rpc: NodeRpc, request: Uint8Array) => Promise<Uint8Array>;

/** What CometBFT's RPC gives at once. */
const MAX_PER_PAGE = 100n;

const SERVICE = "/cosmos.tx.v1beta1.Service";
const QUERIES: Readonly<Record<string, Answering>> = {
  [`${SERVICE}/GetTx`]: getTx,
  [`${SERVICE}/GetTxsEvent`]: getTxsEvent,
  ...NODE_QUERIES,
};

/**
 * The application, with these queries answered by `rpc`. Give the RPC a short timeout: CometBFT asks over one connection,
 * and a query that waits holds up those behind it.
 */
export function withEngineQueries(application: Application, rpc: NodeRpc, log: Logger): Application {
  const query: Application["query"] = async (request) => {
    const answering = Object.hasOwn(QUERIES, request.path) ? QUERIES[request.path] : undefined;
    if (answering === undefined) return application.query(request);
    const { lastBlockHeight: height } = await application.info({
      version: "",
      blockVersion: 0n,
      p2pVersion: 0n,
      abciVersion: "",
    });
    if (request.prove) return refused(request, height, SDK.invalidRequest, "only /store/<name>/key is proven");
    try {
      return ResponseQuery.fromPartial({ value: await answering(rpc, request.data), height });
    } catch (error) {
      return refusal(error, request, height, log);
    }
  };
  return new Proxy(application, {
    get(target, name) {
      if (name === "query") return query;
      const member: unknown = Reflect.get(target, name);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
}

async function getTx(rpc: NodeRpc, request: Uint8Array): Promise<Uint8Array> {
  const found = await findTx(rpc, GetTxRequest.decode(request).hash.replace(/^0x/, ""));
  const txResponse = txResponseOf(found, await blockTime(rpc, found.height));
  return GetTxResponse.encode({ ...withTx(found), txResponse }).finish();
}

async function getTxsEvent(rpc: NodeRpc, request: Uint8Array): Promise<Uint8Array> {
  const asked = GetTxsEventRequest.decode(request);
  const limit = asked.limit === 0n || asked.limit > MAX_PER_PAGE ? MAX_PER_PAGE : asked.limit;
  const { txs, total_count } = await searchTxs(rpc, {
    // `events` is the way before SDK 0.50.
    query: asked.query || asked.events.join(" AND "),
    page: asked.page === 0n ? 1n : asked.page,
    limit,
    order: asked.orderBy === OrderBy.ORDER_BY_DESC ? "desc" : "asc",
  });
  const found = txs ?? [];
  const times = await blockTimes(rpc, found);
  return GetTxsEventResponse.encode({
    txs: found.map((tx) => withTx(tx).tx ?? Tx.fromPartial({})),
    txResponses: found.map((tx) => txResponseOf(tx, times.get(tx.height) ?? "")),
    total: BigInt(total_count),
  }).finish();
}

/** Nothing for bytes that are no transaction: a block may hold such, with a code that says so. */
function withTx({ tx }: RpcTx): { tx?: Tx } {
  try {
    return { tx: Tx.decode(fromBase64(tx)) };
  } catch {
    return {};
  }
}

function txResponseOf(found: RpcTx, timestamp: string): TxResponse {
  const { tx_result: result } = found;
  return TxResponse.fromPartial({
    height: BigInt(found.height),
    txhash: found.hash,
    codespace: result.codespace,
    code: result.code,
    data: toHex(fromBase64(result.data ?? "")).toUpperCase(),
    rawLog: result.log,
    info: result.info,
    gasWanted: BigInt(result.gas_wanted),
    gasUsed: BigInt(result.gas_used),
    tx: { typeUrl: "/cosmos.tx.v1beta1.Tx", value: fromBase64(found.tx) },
    timestamp,
    events: (result.events ?? []).map(({ type, attributes }) => ({
      type,
      attributes: (attributes ?? []).map(({ key, value, index }) => ({ key, value, index: index ?? false })),
    })),
  });
}

/** CosmJS recognises what does not exist by the words. */
function refusal(error: unknown, request: RequestQuery, height: bigint, log: Logger): ResponseQuery {
  if (isKaratError(error, "rest/not-found")) {
    const words = `rpc error: code = NotFound desc = ${error.message}: key not found`;
    return refused(request, height, SDK.keyNotFound, words);
  }
  if (isKaratError(error, "rest/invalid-argument") || error instanceof RangeError) {
    return refused(request, height, SDK.invalidRequest, messageOf(error));
  }
  log.warn({ path: request.path, error: messageOf(error) }, "the engine's index did not answer");
  return refused(request, height, SDK.logic, "the engine's index did not answer");
}

const refused = (
  { data }: RequestQuery,
  height: bigint,
  { codespace, code }: { codespace: string; code: number },
  log: string,
): ResponseQuery => ResponseQuery.fromPartial({ code, codespace, log, height, key: data });

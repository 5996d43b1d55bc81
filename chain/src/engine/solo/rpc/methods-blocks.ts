import { KaratError } from "@karat/common";
import { consensusParamsJson, paramUpdatesJson } from "../../consensus/params.ts";
import { MAX_QUERY_LENGTH, parseQuery } from "../query.ts";
import { type Method, method, type RpcContext } from "./context.ts";
import {
  blockIdJson,
  blockJson,
  blockMetaJson,
  bytesOrNull,
  commitJson,
  execTxResultJson,
  headerJson,
  listOrNull,
  NO_BLOCK_ID,
  validatorJson,
  validatorUpdateJson,
} from "./encode.ts";
import { sparseEvents } from "./encode-events.ts";
import { heightWithin, inOrder, latestHeight, pageOf, perPageOf } from "./heights.ts";

const MAX_BLOCK_METAS = 20n;

function refuse(reason: string): never {
  throw new KaratError("rpc/bad-request", reason);
}

function blockAt({ store }: RpcContext, height: bigint) {
  const block = store.block(height);
  const meta = store.meta(height);
  return block && meta
    ? { block_id: blockIdJson(meta.blockId), block: blockJson(block) }
    : { block_id: NO_BLOCK_ID, block: null };
}

const headerAt = ({ store }: RpcContext, height: bigint) => {
  const meta = store.meta(height);
  return { header: meta ? headerJson(meta.header) : null };
};

const min = (a: bigint, b: bigint) => (a < b ? a : b);
const max = (a: bigint, b: bigint) => (a > b ? a : b);

/** The range of block metas to show, newest first: at most 20. */
function metaRange(context: RpcContext, minHeight: bigint, maxHeight: bigint) {
  if (minHeight < 0n || maxHeight < 0n) refuse("heights must be non-negative");
  const to = min(latestHeight(context), maxHeight === 0n ? latestHeight(context) : maxHeight);
  const from = max(max(context.store.base, minHeight === 0n ? 1n : minHeight), to - MAX_BLOCK_METAS + 1n);
  if (from > to) refuse(`min height ${from} can't be greater than max height ${to}`);
  return { from, to };
}

/** Blocks, headers, commits, results, validators and parameters by height or hash. */
export const blockMethods: Readonly<Record<string, Method>> = {
  block: method({ height: "int64" }, (context, { height }) => blockAt(context, heightWithin(context, height))),

  block_by_hash: method({ hash: "bytes" }, (context, { hash }) => {
    const height = hash && context.store.heightOfHash(hash);
    return height === undefined ? { block_id: NO_BLOCK_ID, block: null } : blockAt(context, height);
  }),

  header: method({ height: "int64" }, (context, { height }) => headerAt(context, heightWithin(context, height))),

  header_by_hash: method({ hash: "hex" }, (context, { hash }) => {
    const height = hash && context.store.heightOfHash(hash);
    return height === undefined ? { header: null } : headerAt(context, height);
  }),

  block_results: method({ height: "int64" }, (context, params) => {
    const height = heightWithin(context, params.height);
    const response = context.store.results(height);
    if (!response) return refuse(`could not find results for height #${height}`);
    return {
      height: height.toString(),
      txs_results: listOrNull(response.txResults.map(execTxResultJson)),
      finalize_block_events: sparseEvents(response.events),
      validator_updates: listOrNull(response.validatorUpdates.map(validatorUpdateJson)),
      consensus_param_updates: response.consensusParamUpdates ? paramUpdatesJson(response.consensusParamUpdates) : null,
      app_hash: bytesOrNull(response.appHash),
    };
  }),

  blockchain: method({ minHeight: "int64", maxHeight: "int64" }, (context, { minHeight = 0n, maxHeight = 0n }) => {
    const { from, to } = metaRange(context, minHeight, maxHeight);
    const metas: unknown[] = [];
    for (let height = to; height >= from; height--) {
      const meta = context.store.meta(height);
      if (meta) metas.push(blockMetaJson(meta));
    }
    return { last_height: latestHeight(context).toString(), block_metas: metas };
  }),

  commit: method({ height: "int64" }, (context, params) => {
    const height = heightWithin(context, params.height);
    const meta = context.store.meta(height);
    const commit = context.store.commit(height);
    if (!meta || !commit) return refuse(`no commit for height ${height}`);
    return {
      signed_header: { header: headerJson(meta.header), commit: commitJson(commit) },
      // A commit is canonical once the next block carries it.
      canonical: height !== latestHeight(context),
    };
  }),

  validators: method({ height: "int64", page: "int64", per_page: "int64" }, (context, params) => {
    // The next block's set is known already.
    const height = heightWithin(context, params.height, latestHeight(context) + 1n);
    const all = context.store.validators(height) ?? [];
    const page = pageOf(all, params.page, perPageOf(params.per_page));
    return {
      block_height: height.toString(),
      validators: page.map(validatorJson),
      count: page.length.toString(),
      total: all.length.toString(),
    };
  }),

  consensus_params: method({ height: "int64" }, (context, params) => {
    const height = heightWithin(context, params.height, latestHeight(context) + 1n);
    const found = context.store.params(height);
    if (!found) return refuse(`could not find consensus params for height #${height}`);
    return { block_height: height.toString(), consensus_params: consensusParamsJson(found) };
  }),

  block_search: method(
    { query: "string", page: "int64", per_page: "int64", order_by: "string" },
    (context, { query = "", page, per_page, order_by }) => {
      if (query.length > MAX_QUERY_LENGTH) refuse("maximum query length exceeded");
      const { store } = context;
      const kept = { min: store.base, max: latestHeight(context) };
      const rising = store.index.searchBlocks(parseQuery(query), kept, (height) => store.results(height)?.events ?? []);
      const all = inOrder(rising, order_by, "desc");
      const heights = pageOf(all, page, perPageOf(per_page));
      return { blocks: heights.map((height) => blockAt(context, height)), total_count: all.length.toString() };
    },
  ),
};

import { KaratError } from "@karat/common";
import { ExecTxResult, RequestCheckTx, type ResponseCheckTx, type TxResult } from "cosmjs-types/tendermint/abci/types";
import { txProof } from "../../consensus/hashes.ts";
import { sha256 } from "../../consensus/merkle.ts";
import { MAX_QUERY_LENGTH, parseQuery } from "../query.ts";
import { type Method, method, type RpcContext } from "./context.ts";
import { base64, checkTxJson, execTxResultJson, type TxInclusion, txJson, upperHex } from "./encode.ts";
import { inOrder, pageOf, perPageOf } from "./heights.ts";

/** How long `broadcast_tx_commit` waits for a block. */
const COMMIT_TIMEOUT_MS = 10_000;

function refuse(reason: string): never {
  throw new KaratError("rpc/bad-request", reason);
}

function inclusionOf({ store }: RpcContext, record: TxResult): TxInclusion | undefined {
  const block = store.block(record.height);
  return block && { rootHash: block.header.dataHash, proof: txProof(block.data.txs, record.index) };
}

async function checkIn(context: RpcContext, tx: Uint8Array): Promise<ResponseCheckTx> {
  const answer = await context.queue.run(() => context.mempool.add(tx));
  if (answer.code === 0) context.wake();
  return answer;
}

const broadcastJson = (tx: Uint8Array, answer: { code: number; data: Uint8Array; log: string; codespace: string }) => ({
  code: answer.code,
  data: upperHex(answer.data),
  log: answer.log,
  codespace: answer.codespace,
  hash: upperHex(sha256(tx)),
});

/** Resolves with the record of a transaction once a block holds it, or with undefined after the timeout. */
function committed(context: RpcContext, hash: string): { found: Promise<TxResult | undefined>; cancel: () => void } {
  const { promise, resolve } = Promise.withResolvers<TxResult | undefined>();
  const unsubscribe = context.events.subscribe((event) => {
    if (event.type === "Tx" && event.events.get("tx.hash")?.includes(hash)) {
      resolve(context.store.index.tx(Buffer.from(hash, "hex")));
    }
  });
  const timer = setTimeout(() => resolve(undefined), COMMIT_TIMEOUT_MS);
  const found = promise.finally(() => {
    clearTimeout(timer);
    unsubscribe();
  });
  return { found, cancel: () => resolve(undefined) };
}

async function broadcastCommit(context: RpcContext, tx: Uint8Array): Promise<unknown> {
  const hash = upperHex(sha256(tx));
  // Listen before the check: the block may come at once.
  const waiting = committed(context, hash);
  let check: ResponseCheckTx;
  try {
    check = await checkIn(context, tx);
  } catch (error) {
    waiting.cancel();
    throw error;
  }
  if (check.code !== 0) {
    waiting.cancel();
    const none = execTxResultJson(ExecTxResult.fromPartial({}));
    return { check_tx: checkTxJson(check), tx_result: none, hash, height: "0" };
  }
  const record = await waiting.found;
  if (!record) return refuse("timed out waiting for tx to be included in a block");
  return {
    check_tx: checkTxJson(check),
    tx_result: execTxResultJson(record.result),
    hash,
    height: record.height.toString(),
  };
}

/** Sending transactions, looking them up, and the mempool. */
export const txMethods: Readonly<Record<string, Method>> = {
  broadcast_tx_sync: method({ tx: "bytes" }, async (context, { tx = new Uint8Array() }) =>
    broadcastJson(tx, await checkIn(context, tx)),
  ),

  broadcast_tx_async: method({ tx: "bytes" }, (context, { tx = new Uint8Array() }) => {
    const { log } = context;
    checkIn(context, tx).catch((error: unknown) => log.debug({ err: String(error) }, "a transaction was not taken in"));
    return broadcastJson(tx, { code: 0, data: new Uint8Array(), log: "", codespace: "" });
  }),

  broadcast_tx_commit: method({ tx: "bytes" }, (context, { tx = new Uint8Array() }) => broadcastCommit(context, tx)),

  check_tx: method({ tx: "bytes" }, async ({ application, queue }, { tx = new Uint8Array() }) =>
    checkTxJson(await queue.run(() => application.checkTx(RequestCheckTx.fromPartial({ tx })))),
  ),

  tx: method({ hash: "bytes", prove: "bool" }, (context, { hash = new Uint8Array(), prove }) => {
    const record = context.store.index.tx(hash);
    if (!record) return refuse(`tx (${upperHex(hash)}) not found`);
    return txJson(record, prove === true ? inclusionOf(context, record) : undefined);
  }),

  tx_search: method(
    { query: "string", prove: "bool", page: "int64", per_page: "int64", order_by: "string" },
    (context, { query = "", prove, page, per_page, order_by }) => {
      if (query.length > MAX_QUERY_LENGTH) refuse("maximum query length exceeded");
      const all = inOrder(context.store.index.searchTxs(parseQuery(query)), order_by, "asc");
      const shown = pageOf(all, page, perPageOf(per_page));
      return {
        txs: shown.map((record) => txJson(record, prove === true ? inclusionOf(context, record) : undefined)),
        total_count: all.length.toString(),
      };
    },
  ),

  unconfirmed_txs: method({ limit: "int64" }, ({ mempool }, { limit }) => {
    const txs = mempool.list(perPageOf(limit));
    return { ...mempoolJson(txs.length, mempool), txs: txs.map(base64) };
  }),

  num_unconfirmed_txs: method({}, ({ mempool }) => ({ ...mempoolJson(mempool.size, mempool), txs: null })),
};

const mempoolJson = (count: number, mempool: { size: number; bytes: number }) => ({
  n_txs: count.toString(),
  total: mempool.size.toString(),
  total_bytes: mempool.bytes.toString(),
});

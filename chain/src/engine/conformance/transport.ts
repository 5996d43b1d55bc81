import { expect, test } from "vitest";
import { get, post, type Reply, rpc } from "../testing/rpc-client.ts";
import { shapeDifferences } from "../testing/shape.ts";
import { b64, CONFORMANCE_CHAIN, type Target, vector } from "./target.ts";

/** Shapes, errors and the ways a call can come. */
export function transportConformance(target: () => Target): void {
  test("replies have the recorded keys, types and encodings", async () => {
    const { url, tx } = target();
    const { height, hash } = tx;
    const base64Hash = Buffer.from(hash, "hex").toString("base64");
    const query = "set.key='colour'";
    const calls: readonly [vector: string, method: string, params: Record<string, unknown>][] = [
      ["abci_info", "abci_info", {}],
      ["abci_query_unknown", "abci_query", { path: "/nope", data: "" }],
      ["block", "block", { height }],
      ["block_1", "block", { height: "1" }],
      ["block_results", "block_results", { height }],
      ["block_search", "block_search", { query: `batch.size='1' AND block.height=${height}` }],
      ["blockchain", "blockchain", { minHeight: "1", maxHeight: "2" }],
      ["check_tx", "check_tx", { tx: b64("nothing") }],
      ["commit", "commit", { height }],
      ["consensus_params", "consensus_params", { height }],
      ["genesis", "genesis", {}],
      ["header", "header", { height }],
      ["health", "health", {}],
      ["net_info", "net_info", {}],
      ["num_unconfirmed_txs", "num_unconfirmed_txs", {}],
      ["status", "status", {}],
      ["tx", "tx", { hash: base64Hash, prove: true }],
      ["tx_search", "tx_search", { query, prove: true }],
      ["tx_search_none", "tx_search", { query: "set.key='never'" }],
      ["unconfirmed_txs", "unconfirmed_txs", {}],
      ["validators", "validators", { height }],
    ];
    for (const [recorded, method, params] of calls) {
      const differences = shapeDifferences(vector(recorded), await rpc(url, method, params));
      expect({ recorded, differences }).toEqual({ recorded, differences: [] });
    }
  });

  test("errors are the recorded ones", async () => {
    const { url } = target();
    const zero = Buffer.alloc(32).toString("base64");
    expect(await rpc(url, "nosuch")).toEqual({ ...(vector("nosuch") as object), id: 1 });
    expect(await rpc(url, "tx", { hash: zero })).toEqual({ ...(vector("tx_notfound") as object), id: 1 });
    expect((await rpc(url, "block", { height: 5 })).error).toEqual((vector("block_height_number") as Reply).error);
    const future = (await rpc(url, "block", { height: "99999999" })).error;
    expect(future?.code).toBe(-32603);
    expect(future?.data).toMatch(/^height 99999999 must be less than or equal to the current blockchain height \d+$/);
    expect((await rpc(url, "block", { height: "abc" })).error?.code).toBe(-32602);
    expect((await rpc(url, "block", { height: "0" })).error?.data).toBe("height must be greater than 0, but got 0");
    expect((await rpc(url, "broadcast_tx_sync", { tx: "%%" })).error?.code).toBe(-32602);
  });

  test("the transport: batches, notifications, ids, bad JSON, unknown paths", async () => {
    const { url, tx } = target();
    const call = (id: unknown) => ({ jsonrpc: "2.0", id, method: "health", params: {} });
    expect(JSON.parse((await post(url, JSON.stringify([call(1), call(2)]))).body)).toEqual(vector("batch"));
    expect(JSON.parse((await post(url, JSON.stringify(call("abc")))).body)).toEqual(vector("strid"));
    const { id: _, ...noId } = call(1);
    expect(await post(url, JSON.stringify(noId))).toMatchObject({ status: 200, body: "" });
    const broken = await post(url, "{");
    expect(broken.status).toBe(500);
    expect(shapeDifferences(vector("parse_error"), JSON.parse(broken.body))).toEqual([]);
    expect((await get(url, "/nosuch")).status).toBe(404);
    expect(JSON.parse((await get(url, "/health")).body)).toEqual({ jsonrpc: "2.0", id: -1, result: {} });
    expect(JSON.parse((await get(url, "/block?height=2")).body).result.block.header.height).toBe("2");
    expect(JSON.parse((await get(url, `/tx?hash=0x${tx.hash}`)).body).result.hash).toBe(tx.hash);
    expect(JSON.parse((await get(url, '/abci_query?path="/key"&data="colour"')).body).result.response.value).toBe(
      b64("blue"),
    );
    const failing = await get(url, "/block?height=99999999");
    expect(failing.status).toBe(500);
    expect(JSON.parse(failing.body)).toMatchObject({ id: -1, error: { code: -32603 } });
    expect((await get(url, `/tx_search?query="set.key='colour'"`)).status).toBe(200);
    const positional = JSON.parse(
      (await post(url, JSON.stringify({ ...call(3), method: "block", params: ["2"] }))).body,
    );
    expect(positional.result.block.header.height).toBe("2");
  });

  test("the genesis comes in chunks", async () => {
    const { url } = target();
    const { chunk, total, data } = (await rpc(url, "genesis_chunked", { chunk: "0" })).result as Record<string, string>;
    expect([chunk, total]).toEqual(["0", "1"]);
    expect(JSON.parse(Buffer.from(data!, "base64").toString())).toMatchObject({ chain_id: CONFORMANCE_CHAIN });
    expect((await rpc(url, "genesis_chunked", { chunk: "7" })).error?.code).toBe(-32603);
  });
}

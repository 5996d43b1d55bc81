import { Comet38Client } from "@cosmjs/tendermint-rpc";
import { expect, test } from "vitest";
import { rpc } from "../testing/rpc-client.ts";
import { shapeDifferences } from "../testing/shape.ts";
import { b64, CONFORMANCE_CHAIN, eventually, type Target, vector } from "./target.ts";

/** Sending transactions and what comes back, by CosmJS and by hand. */
export function transactionsConformance(target: () => Target): void {
  test("CosmJS connects over HTTP and websocket and reads its own writes", async () => {
    const { url } = target();
    for (const endpoint of [url, url.replace("http", "ws")]) {
      const client = await Comet38Client.connect(endpoint);
      const status = await client.status();
      expect(status.nodeInfo.network).toBe(CONFORMANCE_CHAIN);
      expect(status.nodeInfo.version).toMatch(/^0\.38\./);
      expect(status.syncInfo.latestBlockHeight).toBeGreaterThan(0);
      const key = endpoint.slice(0, 2);
      const sent = await client.broadcastTxCommit({ tx: Buffer.from(`${key}=1`) });
      expect(sent.txResult?.code).toBe(0);
      await eventually(async () => {
        const found = await client.txSearchAll({ query: `set.key='${key}'` });
        expect(found.totalCount).toBe(1);
      });
      const query = await client.abciQuery({ path: "/key", data: Buffer.from(key) });
      expect(Buffer.from(query.value).toString()).toBe("1");
      expect((await client.block(sent.height)).block.txs).toHaveLength(1);
      expect((await client.blockResults(sent.height)).finalizeBlockEvents).toHaveLength(1);
      expect((await client.commit(sent.height)).commit.signatures).toHaveLength(1);
      expect((await client.validatorsAll()).total).toBe(1);
      expect((await client.genesis()).chainId).toBe(CONFORMANCE_CHAIN);
      client.disconnect();
    }
  });

  test("broadcasts answer with what CheckTx said", async () => {
    const { url } = target();
    const sync = (await rpc(url, "broadcast_tx_sync", { tx: b64("sync=1") })).result;
    expect(sync).toMatchObject({ code: 0, data: "", codespace: "", hash: expect.stringMatching(/^[0-9A-F]{64}$/) });
    const refused = await rpc(url, "broadcast_tx_sync", { tx: b64("no assignment") });
    expect(refused.result).toMatchObject({ code: 2, codespace: "sdk" });
    expect(shapeDifferences(vector("broadcast_bad"), refused)).toEqual([]);
    const unchecked = (await rpc(url, "broadcast_tx_async", { tx: b64("async also no assignment") })).result;
    expect(unchecked).toMatchObject({ code: 0 });
    const failed = (await rpc(url, "broadcast_tx_commit", { tx: b64("x=1;fail") })).result;
    expect(failed).toMatchObject({ check_tx: { code: 0 }, tx_result: { code: 5, codespace: "kv" } });
    const bad = (await rpc(url, "broadcast_tx_commit", { tx: b64("nothing") })).result;
    expect(bad).toMatchObject({
      check_tx: { code: 2 },
      tx_result: { code: 0, data: null, gas_used: "0" },
      height: "0",
    });
  });

  test("a transaction that is known is not taken in again", async () => {
    const { url } = target();
    const again = await rpc(url, "broadcast_tx_sync", { tx: b64("colour=blue") });
    // CometBFT answers with an error, the solo engine with the SDK's code: a sender must understand both.
    const known = again.error?.data === "tx already exists in cache" || (again.result as { code: number }).code === 19;
    expect(known).toBe(true);
  });
}

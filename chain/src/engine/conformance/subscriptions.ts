import { expect, test } from "vitest";
import { type Reply, WsClient } from "../testing/rpc-client.ts";
import { shapeDifferences } from "../testing/shape.ts";
import { b64, type Target, vector } from "./target.ts";

/** Events over the websocket. */
export function subscriptionsConformance(target: () => Target): void {
  test("subscriptions deliver under their own id and end when told", async () => {
    const { url } = target();
    const ws = await WsClient.connect(url);
    for (const [id, type] of [
      [11, "NewBlock"],
      [12, "NewBlockHeader"],
      [13, "Tx"],
      [14, "NewBlockEvents"],
    ] as const) {
      expect(await ws.call(id, "subscribe", { query: `tm.event='${type}'` })).toMatchObject({ id, result: {} });
    }
    expect((await ws.call(15, "subscribe", { query: "tm.event='Tx'" })).error?.data).toBe("already subscribed");
    expect((await ws.call(16, "subscribe", { query: "tm.event=Tx" })).error?.data).toMatch(
      /^failed to parse query: offset 9/,
    );
    expect((await ws.call(17, "unsubscribe", { query: "tm.event='Other'" })).error?.data).toBe(
      "subscription not found",
    );
    expect((await ws.call(18, "nosuch")).error?.code).toBe(-32601);
    await ws.call(19, "broadcast_tx_sync", { tx: b64("ws=event") });
    const recorded = vector("ws") as Reply[];
    const event = await ws.event((reply) => reply.id === 13);
    const recordedTx = recorded.find(({ id, result }) => id === 13 && Object.keys(result as object).length > 0);
    expect(shapeDifferences(recordedTx, event, ["result.events", "result.data.value.TxResult.result"])).toEqual([]);
    expect(event.result).toMatchObject({ events: { "tm.event": ["Tx"], "transfer.sender": ["alice", "bob"] } });
    await ws.call(20, "broadcast_tx_sync", { tx: b64("ws=failing;fail") });
    const failed = await ws.event((reply) => reply.id === 13 && JSON.stringify(reply).includes(b64("ws=failing;fail")));
    expect((failed.result as { data: unknown }).data).toEqual({
      type: "tendermint/event/Tx",
      value: {
        TxResult: {
          height: expect.stringMatching(/^\d+$/),
          tx: b64("ws=failing;fail"),
          result: { code: 5, log: "told to fail", gas_used: "1", codespace: "kv" },
        },
      },
    });
    for (const id of [11, 12, 14]) {
      const heard = await ws.event((reply) => reply.id === id);
      const expected = recorded.find(
        (reply) => reply.id === (id === 14 ? 19 : id) && Object.keys(reply.result as object).length > 0,
      );
      const optional = ["result.events", "result.data.value.result_finalize_block"];
      expect({ id, differences: shapeDifferences(expected, heard, optional) }).toEqual({ id, differences: [] });
    }
    expect(await ws.call(12, "unsubscribe", { query: "tm.event='NewBlockHeader'" })).toMatchObject({ result: {} });
    expect(await ws.call(21, "unsubscribe_all")).toMatchObject({ result: {} });
    for (let at = 0; at < 5; at++) await ws.call(30 + at, "subscribe", { query: `tx.height=${at}` });
    expect((await ws.call(40, "subscribe", { query: "tx.height=99" })).error?.data).toContain(
      "max_subscriptions_per_client 5",
    );
    ws.close();
  });
}

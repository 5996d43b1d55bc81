import { expect, test } from "vitest";
import type { RpcHeader } from "../rpcTypes.ts";
import { type Reply, rpc } from "../testing/rpc-client.ts";
import { b64, eventually, type Target, vector } from "./target.ts";

/** The total count, or the error's data. */
async function search(
  url: string,
  query: string,
  more: Record<string, unknown> = {},
): Promise<number | string | undefined> {
  const reply = await rpc(url, "tx_search", { query, ...more });
  return reply.error ? reply.error.data : Number((reply.result as { total_count: string }).total_count);
}

/** The query language over indexed events. */
export function searchConformance(target: () => Target): void {
  test("tx_search: all conditions must hold within one event", async () => {
    const { url, tx } = target();
    expect(await search(url, "set.key='colour'")).toBe(1);
    expect(await search(url, "set.key='colour' AND set.value='blue'")).toBe(1);
    expect(await search(url, "set.key='colour' AND set.value='red'")).toBe(0);
    expect(await search(url, `set.key='colour' AND tx.height=${tx.height}`)).toBe(1);
    expect(await search(url, `set.key='colour' AND tx.height>${tx.height}`)).toBe(0);
    expect(await search(url, `tx.hash='${tx.hash}'`)).toBe(1);
    expect(await search(url, `tx.height=${tx.height}`)).toBe(1);
    expect(await search(url, "set.key='colour' AND transfer.sender='bob'")).toBe(0);
    expect(await search(url, `transfer.sender='bob' AND transfer.amount>30 AND tx.height=${tx.height}`)).toBe(1);
    expect(await search(url, `transfer.sender='alice' AND transfer.amount>30 AND tx.height=${tx.height}`)).toBe(0);
    expect(await search(url, "set.key CONTAINS 'olou'")).toBe(1);
    expect(await search(url, `set.key EXISTS AND tx.height=${tx.height}`)).toBe(1);
    expect(await search(url, "nothing.here EXISTS")).toBe(0);
  });

  test("tx_search: pages, order and refusals", async () => {
    const { url } = target();
    for (const value of ["p1", "p2", "p3"]) await rpc(url, "broadcast_tx_commit", { tx: b64(`${value}=paged`) });
    const query = "set.value='paged'";
    const page = async (more: Record<string, string>) =>
      ((await rpc(url, "tx_search", { query, ...more })).result as { txs: { tx: string }[] }).txs.map(({ tx }) =>
        Buffer.from(tx, "base64").toString(),
      );
    await eventually(async () => expect(await page({})).toEqual(["p1=paged", "p2=paged", "p3=paged"]));
    expect(await page({ order_by: "desc" })).toEqual(["p3=paged", "p2=paged", "p1=paged"]);
    expect(await page({ page: "2", per_page: "2" })).toEqual(["p3=paged"]);
    expect(await search(url, query, { page: "3", per_page: "2" })).toBe("page should be within [1, 2] range, given 3");
    expect(await search(url, query, { order_by: "up" })).toContain("order_by");
    expect(await search(url, `set.key='${"x".repeat(512)}'`)).toBe("maximum query length exceeded");
    expect(await search(url, "not a query")).toBe((vector("tx_search_bad") as Reply).error?.data);
    expect(await search(url, "")).toBe("offset 0: EOF");
    expect(await search(url, "set.key=")).toBe("offset 8: EOF");
  });

  test("block_search finds blocks by their own events and height", async () => {
    const { url, tx } = target();
    const blocks = async (query: string) =>
      ((await rpc(url, "block_search", { query })).result as { blocks: { block: { header: RpcHeader } }[] }).blocks.map(
        ({ block }) => block.header.height,
      );
    await eventually(async () =>
      expect(await blocks(`batch.size='1' AND block.height=${tx.height}`)).toEqual([tx.height]),
    );
    expect(await blocks("block.height<=2")).toEqual(["2", "1"]);
    expect(await blocks("batch.size='99'")).toEqual([]);
  });
}

import { sha256, toHex } from "@karat/common";
import {
  GetTxRequest,
  GetTxResponse,
  GetTxsEventRequest,
  GetTxsEventResponse,
  OrderBy,
} from "cosmjs-types/cosmos/tx/v1beta1/service";
import { beforeAll, expect } from "vitest";
import { verifyMerkleProof } from "../../../chain/src/engine/consensus/merkle.ts";
import { type Checks, FEE, failureOf, type Suite, send, signed, soon } from "./context.ts";

const GET_TX = "/cosmos.tx.v1beta1.Service/GetTx";
const GET_TXS_EVENT = "/cosmos.tx.v1beta1.Service/GetTxsEvent";

/** Finding transactions and blocks. */
export const searchChecks: Checks = (suite, check) => {
  // Five transfers of amounts that nobody else sends, in the order of their amounts.
  const amounts = [1_000_001, 1_000_002, 1_000_003, 1_000_004, 1_000_005];
  const sent: { hash: string; height: number; tx: Uint8Array }[] = [];
  beforeAll(async () => {
    const { alice, bob, comet } = suite();
    for (const amount of amounts) {
      const tx = await signed(suite(), [send(alice, bob, amount)], { memo: `search ${amount}` });
      const { height, txResult } = await comet.broadcastTxCommit({ tx });
      expect(txResult?.code).toBe(0);
      sent.push({ hash: toHex(sha256(tx)).toUpperCase(), height, tx });
    }
    await soon(() => comet.tx({ hash: sha256(sent.at(-1)!.tx) }));
  });
  const query = ({ bob }: Suite) =>
    `transfer.recipient='${bob.address}' AND tx.height>=${sent[0]!.height} AND tx.height<=${sent[4]!.height}`;
  const hashesOf = (txs: readonly { hash: string | Uint8Array }[]) =>
    txs.map(({ hash }) => (typeof hash === "string" ? hash : toHex(hash).toUpperCase()));
  const hashes = () => sent.map(({ hash }) => hash);

  check("getTx by hash", async ({ direct }) => {
    const { hash, height, tx } = sent[0]!;
    const found = await direct.getTx(hash);
    expect(found).toMatchObject({ hash, height, code: 0, txIndex: 0, gasWanted: BigInt(FEE.gas) });
    expect(found?.tx).toEqual(tx);
    expect(found?.events.map(({ type }) => type)).toContain("transfer");
  });
  check("getTx of a hash that is not there is null", async ({ direct }) =>
    expect(await direct.getTx("AB".repeat(32))).toBe(null),
  );
  check("tx with a proof of inclusion", async ({ comet }) => {
    const { tx, height } = sent[1]!;
    const { proof } = await comet.tx({ hash: sha256(tx), prove: true });
    const { header } = (await comet.block(height)).block;
    expect(proof!.rootHash).toEqual(header.dataHash);
    expect(verifyMerkleProof(header.dataHash, sha256(tx), { ...proof!.proof, aunts: [...proof!.proof.aunts] })).toBe(
      true,
    );
  });
  check("tx of a hash that is not there is an error", async ({ comet }) =>
    expect((await failureOf(comet.tx({ hash: new Uint8Array(32) }))).message).toContain("not found"),
  );
  check("searchTx by sender", async ({ direct, alice }) => {
    const found = await direct.searchTx([{ key: "message.sender", value: alice.address }]);
    expect(hashesOf(found)).toEqual(expect.arrayContaining(hashes()));
  });
  check("searchTx by recipient", async ({ direct, bob }) => {
    const found = await direct.searchTx([{ key: "transfer.recipient", value: bob.address }]);
    expect(hashesOf(found)).toEqual(expect.arrayContaining(hashes()));
  });
  check("searchTx by height", async ({ direct }) => {
    const found = await direct.searchTx([{ key: "tx.height", value: sent[2]!.height }]);
    expect(hashesOf(found)).toContain(sent[2]!.hash);
  });
  check("searchTx by two conditions", async ({ direct, bob }) => {
    const conditions = [
      { key: "transfer.recipient", value: bob.address },
      { key: "tx.height", value: sent[3]!.height },
    ];
    expect(hashesOf(await direct.searchTx(conditions))).toEqual([sent[3]!.hash]);
  });
  check("searchTx in CometBFT's language, with a range of heights", async (s) =>
    expect(hashesOf(await s.direct.searchTx(query(s)))).toEqual(hashes()),
  );
  check("searchTx that finds nothing", async ({ direct }) =>
    expect(await direct.searchTx([{ key: "transfer.recipient", value: "karat1nobody" }])).toEqual([]),
  );
  check("tx_search in pages", async (s) => {
    const page = (number: number) => s.comet.txSearch({ query: query(s), per_page: 2, page: number, order_by: "asc" });
    const pages = [await page(1), await page(2), await page(3)];
    expect(pages.map(({ totalCount }) => totalCount)).toEqual([5, 5, 5]);
    expect(pages.map(({ txs }) => txs.length)).toEqual([2, 2, 1]);
    expect(hashesOf(pages.flatMap(({ txs }) => txs))).toEqual(hashes());
  });
  check("tx_search newest first", async (s) => {
    const { txs } = await s.comet.txSearch({ query: query(s), order_by: "desc" });
    expect(hashesOf(txs)).toEqual(hashes().reverse());
  });
  check("tx_search of all pages", async (s) =>
    expect((await s.comet.txSearchAll({ query: query(s), per_page: 2, order_by: "asc" })).txs).toHaveLength(5),
  );
  check("tx_search of a page that is not there", async (s) =>
    expect((await failureOf(s.comet.txSearch({ query: query(s), per_page: 2, page: 9 }))).message).toContain("page"),
  );
  check("tx_search of what is no query", async ({ comet }) =>
    expect((await failureOf(comet.txSearch({ query: "transfer.recipient=" }))).message).toContain("-32603"),
  );
  check("block_search by height", async ({ comet }) => {
    const { blocks, totalCount } = await comet.blockSearch({ query: `block.height=${sent[0]!.height}` });
    expect([totalCount, blocks[0]?.block.header.height]).toEqual([1, sent[0]!.height]);
  });
  check("block_search in pages", async ({ comet }) => {
    const range = `block.height>=${sent[0]!.height} AND block.height<=${sent[0]!.height + 2}`;
    const { blocks, totalCount } = await comet.blockSearch({ query: range, per_page: 2, page: 2, order_by: "asc" });
    expect([totalCount, blocks.map(({ block }) => block.header.height)]).toEqual([3, [sent[0]!.height + 2]]);
  });
  check("Service/GetTx", async ({ query: client }) => {
    const { hash, height, tx } = sent[0]!;
    const { value } = await client.queryAbci(GET_TX, GetTxRequest.encode({ hash }).finish());
    const { tx: shown, txResponse } = GetTxResponse.decode(value);
    expect(shown?.body?.memo).toBe(`search ${amounts[0]}`);
    expect(txResponse).toMatchObject({ txhash: hash, height: BigInt(height), code: 0 });
    expect(txResponse?.tx?.value).toEqual(tx);
    expect(Date.parse(txResponse!.timestamp)).toBeGreaterThan(0);
    expect(txResponse?.events.map(({ type }) => type)).toContain("transfer");
  });
  check("Service/GetTx through CosmJS's tx extension", async ({ query: client }) =>
    expect((await client.tx.getTx(sent[1]!.hash)).txResponse?.height).toBe(BigInt(sent[1]!.height)),
  );
  check("Service/GetTx of a hash that is not there", async ({ query: client }) =>
    expect((await failureOf(client.tx.getTx("CD".repeat(32)))).message).toMatch(/\(22\).*NotFound/),
  );
  check("Service/GetTx of what is no hash", async ({ query: client }) =>
    expect((await failureOf(client.tx.getTx("zz"))).message).toContain("(18)"),
  );
  check("Service/GetTxsEvent in pages", async (s) => {
    const ask = async (page: bigint) => {
      const request = { events: [], orderBy: OrderBy.ORDER_BY_DESC, page, limit: 3n, query: query(s) };
      const { value } = await s.query.queryAbci(GET_TXS_EVENT, GetTxsEventRequest.encode(request).finish());
      return GetTxsEventResponse.decode(value);
    };
    const [first, second] = [await ask(1n), await ask(2n)];
    expect([first.total, first.txs.length, second.txs.length]).toEqual([5n, 3, 2]);
    expect([...first.txResponses, ...second.txResponses].map(({ txhash }) => txhash)).toEqual(hashes().reverse());
  });
  check("Service/GetTxsEvent of what is no query", async ({ query: client }) => {
    const request = { events: [], orderBy: 0, page: 1n, limit: 1n, query: "'" };
    const asked = client.queryAbci(GET_TXS_EVENT, GetTxsEventRequest.encode(request).finish());
    expect((await failureOf(asked)).message).toContain("(18)");
  });
};

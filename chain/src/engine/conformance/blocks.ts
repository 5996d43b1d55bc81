import { expect, test } from "vitest";
import { headerHash } from "../consensus/hashes.ts";
import { ed25519Key, verifyEd25519 } from "../consensus/keys.ts";
import { verifyMerkleProof } from "../consensus/merkle.ts";
import { precommitSignBytes } from "../consensus/vote.ts";
import type { RpcHeader } from "../rpcTypes.ts";
import { type Reply, rpc, WsClient } from "../testing/rpc-client.ts";
import { blockIdOfJson, commitOfJson, headerOfJson } from "../testing/rpc-json.ts";
import { b64, CONFORMANCE_CHAIN, type Target } from "./target.ts";

/** Blocks, their hashes and signatures, and what changes with them. */
export function blocksConformance(target: () => Target): void {
  test("a transaction is proven to be in its block", async () => {
    const { url, tx } = target();
    const { proof } = tx.proof;
    const leaf = Buffer.from(tx.hash, "hex");
    const read = {
      total: Number(proof.total),
      index: Number(proof.index),
      leafHash: Buffer.from(proof.leaf_hash, "base64"),
      aunts: proof.aunts.map((aunt) => Buffer.from(aunt, "base64")),
    };
    const root = Buffer.from(tx.proof.root_hash, "hex");
    expect(verifyMerkleProof(root, leaf, read)).toBe(true);
    const header = (await rpc(url, "header", { height: tx.height })).result as { header: RpcHeader };
    expect(header.header.data_hash).toBe(tx.proof.root_hash);
    const plain = (await rpc(url, "tx", { hash: leaf.toString("base64") })).result;
    expect(Object.keys(plain as object)).not.toContain("proof");
  });

  test("headers hash to their block's id and the precommits verify", async () => {
    const { url, tx } = target();
    for (const height of ["1", tx.height]) {
      const { block, block_id } = (await rpc(url, "block", { height })).result as {
        block: { header: RpcHeader };
        block_id: { hash: string };
      };
      const header = headerOfJson(block.header);
      expect(Buffer.from(headerHash(header)).toString("hex").toUpperCase()).toBe(block_id.hash);
      const { signed_header } = (await rpc(url, "commit", { height })).result as {
        signed_header: { commit: Parameters<typeof commitOfJson>[0] };
      };
      const commit = commitOfJson(signed_header.commit);
      const { validators } = (await rpc(url, "validators", { height })).result as {
        validators: { pub_key: { value: string } }[];
      };
      const { timestamp, signature } = commit.signatures[0]!;
      const signed = precommitSignBytes(CONFORMANCE_CHAIN, { ...commit, timestamp });
      expect(verifyEd25519(Buffer.from(validators[0]!.pub_key.value, "base64"), signed, signature)).toBe(true);
      expect(blockIdOfJson(signed_header.commit.block_id)).toEqual(commit.blockId);
    }
  });

  test("a block's time is its predecessor's precommit time, and rises", async () => {
    const { url } = target();
    const header = (await rpc(url, "block", { height: "2" })).result as {
      block: { header: RpcHeader; last_commit: { signatures: { timestamp: string }[] } };
    };
    expect(header.block.header.time).toBe(header.block.last_commit.signatures[0]?.timestamp);
    const first = (await rpc(url, "header", { height: "1" })).result as { header: RpcHeader };
    expect(Date.parse(header.block.header.time)).toBeGreaterThan(Date.parse(first.header.time));
  });

  test("blocks and headers by hash; unknown ones are null", async () => {
    const { url, tx } = target();
    const block = (await rpc(url, "block", { height: tx.height })).result as { block_id: { hash: string } };
    const hash = Buffer.from(block.block_id.hash, "hex");
    expect((await rpc(url, "block_by_hash", { hash: hash.toString("base64") })).result).toEqual(block);
    const header = (await rpc(url, "header_by_hash", { hash: hash.toString("hex") })).result;
    expect(header).toMatchObject({ header: { height: tx.height } });
    const none = Buffer.alloc(32);
    expect((await rpc(url, "block_by_hash", { hash: none.toString("base64") })).result).toEqual({
      block_id: { hash: "", parts: { total: 0, hash: "" } },
      block: null,
    });
    expect((await rpc(url, "header_by_hash", { hash: none.toString("hex") })).result).toEqual({ header: null });
  });

  test("parameter updates come into force with the next block", async () => {
    const { url } = target();
    const sent = (await rpc(url, "broadcast_tx_commit", { tx: b64("max-gas=1000000") })).result as { height: string };
    const results = (await rpc(url, "block_results", { height: sent.height })).result as Record<string, unknown>;
    expect(results.consensus_param_updates).toEqual({ block: { max_bytes: "22020096", max_gas: "1000000" } });
    const maxGas = async (height: bigint) => {
      const { result } = await rpc(url, "consensus_params", { height: height.toString() });
      return (result as { consensus_params: { block: { max_gas: string } } }).consensus_params.block.max_gas;
    };
    const height = BigInt(sent.height);
    expect([await maxGas(height), await maxGas(height + 1n)]).toEqual(["-1", "1000000"]);
  });

  test("validator updates come into force two blocks later", async () => {
    const { url } = target();
    const added = Buffer.from(ed25519Key(new Uint8Array(32).fill(9)).publicKey).toString("base64");
    const sent = (await rpc(url, "broadcast_tx_commit", { tx: b64(`val:${added}=1`) })).result as { height: string };
    const results = (await rpc(url, "block_results", { height: sent.height })).result as {
      validator_updates: unknown;
    };
    expect(results.validator_updates).toEqual([
      { pub_key: { Sum: { type: "tendermint.crypto.PublicKey_Ed25519", value: { ed25519: added } } }, power: "1" },
    ]);
    const height = BigInt(sent.height);
    const ws = await WsClient.connect(url);
    await ws.call(1, "subscribe", { query: "tm.event='NewBlockHeader'" });
    const headerAt = (reply: Reply) =>
      (reply.result as { data?: { value: { header: RpcHeader } } }).data?.value.header.height ?? "0";
    await ws.event((reply) => reply.id === 1 && BigInt(headerAt(reply)) >= height + 2n);
    ws.close();
    const countAt = async (at: bigint) =>
      ((await rpc(url, "validators", { height: at.toString() })).result as { total: string }).total;
    expect(await Promise.all([countAt(height + 1n), countAt(height + 2n)])).toEqual(["1", "2"]);
    const removal = (await rpc(url, "broadcast_tx_commit", { tx: b64(`val:${added}=0`) })).result as {
      height: string;
    };
    const removed = (await rpc(url, "block_results", { height: removal.height })).result as {
      validator_updates: object[];
    };
    expect(Object.keys(removed.validator_updates[0]!)).toEqual(["pub_key"]);
  });
}
